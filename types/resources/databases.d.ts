// Databases and graphs.

import type { AnyCase, Described } from './definitions';

/** A database and its actions. */
export interface DatabaseResource extends Described {
  tag: string;
  /**
   * Built in are `'postgresql'`, `'mysql'`, `'mariadb'`, `'sqlite'`, `'mongodb'` and `'dynamodb'`. Jobs of the others wait for a
   * process that has a handler for them. Case does not matter.
   */
  type: AnyCase<
    'postgresql' | 'mysql' | 'mariadb' | 'sqlite' | 'mongodb' | 'dynamodb' | 'cassandra' | 'mssql' | 'oracle'
  >;
  /** The table, or collection, of operations and actions that name none: `'orders'` or `'sales.orders'`. */
  table?: string;
  /** `false`: jobs bring no SQL or command of their own (`raw`). Default true. */
  raw?: boolean;
  envs: readonly DatabaseEnvironment[];
  actions?: readonly DatabaseAction[];
}

/** Where a database is in one environment. */
export interface DatabaseEnvironment extends Described {
  slug: string;
  /** `postgres://…`, `mysql://…`, `mongodb://…`, `dynamodb://region`, or the path of a SQLite file. */
  connection_url: string;
  /** Certificates that the server's must be signed by: PEM, or the path of such a file. */
  ca?: string;
  /** Address of a DynamoDB in place of the region's own, such as `'http://127.0.0.1:8000'`. */
  endpoint?: string;
  /** Most connections at once; of DynamoDB, requests. Default 10. */
  max_connections?: number;
}

/** An operation that is written down in advance; `{{name}}` is filled with what the job brings. */
export interface DatabaseAction extends Described {
  tag: string;
  /** The table, unless it is the database's. */
  tableName?: string;
  operation: 'QUERY' | 'INSERT' | 'UPDATE' | 'DELETE' | 'UPSERT' | 'AGGREGATE' | 'RAW_SQL';
  /**
   * QUERY: `{ where, select, limit, offset, orderBy, include }`, or with `operations` an aggregate. INSERT, UPSERT: the data,
   * or `{ records, conflictColumns }`. UPDATE: the changes. AGGREGATE: names and functions, or `{ where, operations }`.
   * RAW_SQL: the SQL, or `{ query, params }`. Also `{ find }`, `{ findOne }`, `{ insertOne }`, `{ insertMany }`, `{ updateOne }`,
   * `{ updateMany }`, `{ deleteOne }`, `{ deleteMany }`: the operation of that name. Without it the job's `data`.
   */
  template?: object | string;
  /** Which rows are meant. Without it the job's `filter`, else its `query`. */
  filterTemplate?: object;
  /** Values of names that a job leaves out. */
  defaults?: object;
  fields?: string | readonly string[];
  groupBy?: string | readonly string[];
  having?: object;
  orderBy?: DatabaseOrder | readonly DatabaseOrder[];
  limit?: number | string;
  offset?: number | string;
  conflictColumns?: string | readonly string[];
  updateColumns?: string | readonly string[];
  returning?: boolean | string | readonly string[];
  /** Lets an UPDATE or a DELETE without a filter meet every row. */
  all?: boolean;
}

/** A column to order by, with its direction if it is not ascending. */
export type DatabaseOrder =
  | string
  | { readonly column: string; readonly order?: 'asc' | 'desc' | 'ASC' | 'DESC' }
  | { readonly [column: string]: 'asc' | 'desc' | 'ASC' | 'DESC' | 1 | -1 };

/** The types of graphs, in upper or lower case. Jobs of others than neo4j, memgraph and neptune wait for a handler. */
export type GraphType = 'neo4j' | 'memgraph' | 'neptune' | 'arangodb' | 'nebula' | 'spanner-graph' | 'cosmos-gremlin';

/** A graph database and its actions. */
export interface GraphResource extends Described {
  tag: string;
  type: GraphType | Uppercase<GraphType>;
  /** `false`: jobs bring no queries of their own (`query`). Default true. */
  raw?: boolean;
  envs: readonly GraphEnvironment[];
  actions?: readonly GraphAction[];
}

/** Where a graph is in one environment. */
export interface GraphEnvironment extends Described {
  slug: string;
  /**
   * `bolt://…`, or `neo4j://…` where the server tells who reads and who writes; with `+s` by TLS, with `+ssc` by TLS without a
   * check of the certificate.
   */
  connection_url: string;
  /** The database on the server. Default: the user's own. */
  database?: string;
  /** User, in place of that of the address. */
  username?: string;
  /** Password, in place of that of the address. */
  password?: string;
  /** Type `'arangodb'`: its graph. */
  graphName?: string;
  /** Type `'neptune'`: its region. */
  region?: string;
  /** Certificates that the server's must be signed by: PEM, or the path of such a file. */
  ca?: string;
  /** Most connections to one server at once. Default 10. */
  max_connections?: number;
}

/** What an action of a graph does. */
export type GraphActionType =
  | 'CREATE_NODE'
  | 'FIND_NODES'
  | 'FIND_NODE_BY_ID'
  | 'UPDATE_NODE'
  | 'DELETE_NODE'
  | 'MERGE_NODE'
  | 'CREATE_RELATIONSHIP'
  | 'FIND_RELATIONSHIPS'
  | 'UPDATE_RELATIONSHIP'
  | 'DELETE_RELATIONSHIP'
  | 'TRAVERSE'
  | 'SHORTEST_PATH'
  | 'QUERY';

/** An operation that is written down in advance; `{{name}}` is filled with what the job brings. */
export interface GraphAction extends Described {
  /** `'action'` or `'graph:action'`. */
  tag: string;
  /** May be left out where there is a `query`. */
  operation?: GraphActionType;
  /** The input of the operation. */
  template?: object;
  /** The filter, in place of `where` in the template. */
  filterTemplate?: object;
  /** QUERY: Cypher with `$name` for parameters. */
  query?: string;
  /** QUERY: the parameters. */
  params?: object;
  /** Values of names that a job leaves out. */
  defaults?: object;
}
