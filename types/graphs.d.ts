// Inputs and results of graph operations.

/** The `id` or the `elementId` of a node or a relationship in a result. */
export type GraphId = number | string;

/** A node in results of graphs. */
export interface IGraphNode {
  /** Beyond 2⁵³ − 1 a string. */
  id: GraphId;
  elementId: string;
  labels: string[];
  properties: Record<string, unknown>;
}

/** A relationship in results of graphs. */
export interface IGraphRelationship {
  id: GraphId;
  elementId: string;
  type: string;
  startNodeId: GraphId;
  endNodeId: GraphId;
  startNodeElementId: string;
  endNodeElementId: string;
  properties: Record<string, unknown>;
}

/** A path in results of graphs: relationship `n` is between the nodes `n` and `n + 1`. */
export interface IGraphPath {
  nodes: IGraphNode[];
  relationships: IGraphRelationship[];
  length: number;
}

/** Values and operators by property, as in `{ age: { $gte: 18 } }`; groups as in `{ $or: [{ a: 1 }, { b: 2 }] }`. */
export type GraphFilter = Record<string, unknown>;

/** Values by property. */
export type GraphProperties = Record<string, unknown>;

/** Which nodes. */
export interface GraphNodes {
  labels?: string | readonly string[];
  label?: string;
  where?: GraphFilter;
  filter?: GraphFilter;
}

/** What is read of all that is found. */
export interface GraphPage {
  orderBy?: string | Record<string, 'asc' | 'desc' | 'ASC' | 'DESC'> | readonly (string | Record<string, string>)[];
  limit?: number;
  skip?: number;
  offset?: number;
}

/** The nodes at both ends of a relationship or a path, each by one of its names. */
export interface GraphEnds {
  startNodeId?: GraphId;
  fromId?: GraphId;
  from?: GraphId;
  endNodeId?: GraphId;
  toId?: GraphId;
  to?: GraphId;
}

/** Relationships that are followed. */
export interface GraphSteps {
  relationshipTypes?: string | readonly string[];
  types?: string | readonly string[];
  type?: string | readonly string[];
  direction?: 'OUTGOING' | 'INCOMING' | 'BOTH' | 'outgoing' | 'incoming' | 'both';
  minDepth?: number;
  maxDepth?: number;
  depth?: number;
}

/** What is set where something is found, and where it is created. */
export interface GraphMerge {
  matchProperties?: GraphProperties;
  matchProps?: GraphProperties;
  onCreate?: GraphProperties;
  onMatch?: GraphProperties;
  setProperties?: GraphProperties;
  setProps?: GraphProperties;
}

/** Properties, by each of their names. */
export interface GraphChanges {
  properties?: GraphProperties;
  props?: GraphProperties;
  data?: GraphProperties;
}

/** Inputs of the operations that run without a handler, by operation. */
export interface GraphOperationInputs {
  createNode: Pick<GraphNodes, 'labels' | 'label'> & GraphChanges;
  findNodes: GraphNodes & GraphPage;
  findNodeById: { id?: GraphId; nodeId?: GraphId };
  updateNode: GraphNodes & GraphChanges & { id?: GraphId; nodeId?: GraphId; all?: boolean };
  updateNodes: GraphOperationInputs['updateNode'];
  deleteNode: GraphNodes & { id?: GraphId; nodeId?: GraphId; detach?: boolean; all?: boolean };
  deleteNodes: GraphOperationInputs['deleteNode'];
  mergeNode: Pick<GraphNodes, 'labels' | 'label'> & GraphMerge;
  addLabels: { id?: GraphId; nodeId?: GraphId; labels: string | readonly string[] };
  removeLabels: GraphOperationInputs['addLabels'];
  setLabels: GraphOperationInputs['addLabels'];
  createRelationship: GraphEnds & GraphChanges & { type: string };
  findRelationships: GraphEnds &
    Pick<GraphNodes, 'where' | 'filter'> &
    GraphPage &
    Omit<GraphSteps, 'minDepth' | 'maxDepth' | 'depth'>;
  updateRelationship: GraphOperationInputs['deleteRelationship'] & GraphChanges;
  deleteRelationship: GraphEnds &
    Pick<GraphNodes, 'where' | 'filter'> &
    Pick<GraphSteps, 'type' | 'types' | 'relationshipTypes'> & {
      id?: GraphId;
      relationshipId?: GraphId;
      all?: boolean;
    };
  mergeRelationship: GraphEnds & GraphMerge & { type: string };
  traverse: Pick<GraphEnds, 'startNodeId' | 'fromId' | 'from'> &
    GraphSteps & { nodeFilter?: GraphNodes; relationshipFilter?: Pick<GraphNodes, 'where' | 'filter'>; limit?: number };
  shortestPath: GraphEnds & Omit<GraphSteps, 'minDepth'> & { weightProperty?: string; directed?: boolean };
  allPaths: GraphEnds & GraphSteps & { directed?: boolean; limit?: number };
  getNeighborhood: Omit<GraphSteps, 'minDepth'> & {
    nodeId?: GraphId;
    id?: GraphId;
    startNodeId?: GraphId;
    nodeFilter?: GraphNodes;
  };
  findConnectedComponents: Pick<GraphNodes, 'labels' | 'label'> &
    Pick<GraphSteps, 'type' | 'types' | 'relationshipTypes'>;
  countNodes: GraphNodes;
  countRelationships: Pick<GraphNodes, 'where' | 'filter'> & Pick<GraphSteps, 'type' | 'types' | 'relationshipTypes'>;
  getStatistics: Record<string, never>;
  fullTextSearch: {
    indexName?: string;
    index?: string;
    label?: string;
    properties?: string | readonly string[];
    query: string;
    limit?: number;
  };
  vectorSearch: { indexName?: string; index?: string; vector: readonly number[]; topK?: number; limit?: number };
  query: { query?: string; cypher?: string; text?: string; params?: object; parameters?: object; autoCommit?: boolean };
  createNodeIndex: GraphIndex & { label: string };
  createRelationshipIndex: GraphIndex & { relationshipType: string };
  createNodeConstraint: GraphConstraint & { label: string };
  createRelationshipConstraint: GraphConstraint & { relationshipType: string };
  listIndexes: Record<string, never>;
  listConstraints: Record<string, never>;
  dropIndex: { name: string };
  dropConstraint: { name: string };
}

/** An index to be created. */
export interface GraphIndex {
  name?: string;
  type?: 'RANGE' | 'BTREE' | 'TEXT' | 'POINT' | 'FULLTEXT' | 'VECTOR';
  properties: string | readonly string[];
  /** VECTOR: how many numbers each vector has. */
  dimensions?: number;
  /** VECTOR. Default `'cosine'`. */
  similarity?: 'cosine' | 'euclidean';
}

/** A constraint to be created. */
export interface GraphConstraint {
  name?: string;
  type?: 'UNIQUE' | 'EXISTS' | 'NODE_KEY' | 'RELATIONSHIP_KEY';
  properties: string | readonly string[];
}
