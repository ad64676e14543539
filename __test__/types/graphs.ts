// Inputs of graphs: the documented ones are of the types that operations have.
import type { GraphOperationInputs, IGraphOperationDispatchInput, IGraphPath } from 'ductape';
import { defineResources, Ductape } from 'ductape';

const inputs = {
  createNode: { labels: ['Person'], properties: { name: 'ann', at: { $date: '2026-01-31' } } },
  findNodes: { labels: ['Person'], where: { age: { $gte: 18 } }, orderBy: { age: 'desc' }, limit: 10, skip: 5 },
  findNodeById: { id: '4:x:1' },
  updateNode: { id: 1, properties: { visits: { $INCREMENT: 1 } } },
  deleteNode: { id: 1, detach: true },
  deleteNodes: { filter: { expired: true } },
  mergeNode: { labels: ['Person'], matchProps: { mail: 'a' }, setProps: { name: 'ann' } },
  setLabels: { id: 1, labels: ['Person'] },
  createRelationship: { type: 'KNOWS', startNodeId: 1, endNodeId: 2, properties: { since: 2020 } },
  findRelationships: { type: ['KNOWS', 'LIKES'], startNodeId: 1, direction: 'BOTH', where: { since: 2020 }, limit: 5 },
  updateRelationship: { id: 1, properties: { since: 2021 } },
  deleteRelationship: { type: 'KNOWS', fromId: 1, toId: 2 },
  mergeRelationship: { type: 'KNOWS', from: 1, to: 2, onCreate: { n: 1 }, onMatch: { n: { $inc: 1 } } },
  traverse: { startNodeId: 1, maxDepth: 3, nodeFilter: { labels: ['Person'], where: { active: true } } },
  shortestPath: { startNodeId: 1, endNodeId: 2, weightProperty: 'km', directed: true },
  allPaths: { startNodeId: 1, endNodeId: 2, minDepth: 1, maxDepth: 4, limit: 10 },
  getNeighborhood: { nodeId: 1, depth: 2, relationshipTypes: ['KNOWS'] },
  findConnectedComponents: { labels: ['Person'] },
  countNodes: { labels: ['Person'] },
  countRelationships: { types: ['KNOWS'] },
  getStatistics: {},
  fullTextSearch: { indexName: 'titles', query: 'graphs', limit: 5 },
  vectorSearch: { indexName: 'vectors', vector: [0.1, 0.2], topK: 3 },
  query: { query: 'RETURN $a', params: { a: 1 } },
  createNodeIndex: { name: 'i', type: 'FULLTEXT', label: 'Person', properties: ['name'] },
  createRelationshipConstraint: { type: 'UNIQUE', relationshipType: 'KNOWS', properties: ['id'] },
  dropIndex: { name: 'i' },
} satisfies Partial<GraphOperationInputs>;

const resources = defineResources({
  products: [
    {
      tag: 'my-app',
      graphs: [
        { tag: 'g', type: 'NEO4J', envs: [{ slug: 'prd', connection_url: 'neo4j://h', database: 'people' }] },
        {
          tag: 'old',
          type: 'neptune',
          envs: [{ slug: 'prd', connection_url: 'wss://h:8182/gremlin', region: 'eu-west-1' }],
          actions: [{ tag: 'named', query: 'RETURN $a', params: { a: '{{a}}' } }],
        },
      ],
    },
  ],
});

export async function use(ductape: Ductape): Promise<IGraphPath | null> {
  for (const [operation, input] of Object.entries(inputs)) {
    await ductape.graphs.dispatch({ graph: 'g', operation, input } satisfies Partial<IGraphOperationDispatchInput>);
  }
  const { job_id } = await ductape.graphs.dispatch({
    graph: 'g',
    operation: 'shortestPath',
    input: inputs.shortestPath,
  });
  const { path } = await ductape.jobs.wait<{ path: IGraphPath | null }>(job_id);
  new Ductape({ resources });
  return path;
}
