// Operations and an action on a graph, without a handler: people who know each other, and sessions that are cleared away.

/** Names the server that this part needs, as in bolt://neo4j:password@127.0.0.1:7687. */
export const address = 'DUCTAPE_TEST_NEO4J';

export function resources() {
  const graph = {
    type: 'neo4j',
    envs: [{ slug: 'prd', connection_url: process.env[address] ?? 'bolt://127.0.0.1:7687' }],
  };
  return {
    graphs: [
      { tag: 'session-graph', ...graph },
      {
        tag: 'city-graph',
        ...graph,
        actions: [
          {
            tag: 'shortest_path',
            operation: 'SHORTEST_PATH',
            template: { startNodeId: '{{from}}', endNodeId: '{{to}}', weightProperty: 'km' },
          },
        ],
      },
    ],
  };
}

/** @param {import('ductape').Ductape} ductape @param {(...line: unknown[]) => void} log */
export async function run(ductape, log) {
  const operate = async (operation, input) => {
    const job = await ductape.graphs.dispatch({ graph: 'session-graph', operation, input });
    return ductape.jobs.wait(job.job_id);
  };
  const labels = ['ExampleSession'];
  for (const user of ['ann', 'bob'])
    await operate('createNode', { labels, properties: { user, idle: user === 'bob' } });
  // A cron would do this every night.
  log('cleared', await operate('deleteNodes', { labels, filter: { idle: true } }));
  log('left', await operate('countNodes', { labels }));
  await operate('deleteNodes', { labels, all: true });

  const city = async (name) => {
    const { node } = await operate('createNode', { labels: ['ExampleCity'], properties: { name } });
    return node.id;
  };
  const [berlin, leipzig, munich] = [await city('Berlin'), await city('Leipzig'), await city('Munich')];
  for (const [from, to, km] of [
    [berlin, leipzig, 190],
    [leipzig, munich, 430],
    [berlin, munich, 640],
  ]) {
    await operate('createRelationship', { type: 'ROAD', from, to, properties: { km } });
  }
  const job = await ductape.graphs.action.dispatch({
    graph: 'city-graph',
    event: 'shortest_path',
    input: { from: berlin, to: munich },
  });
  const { path, weight } = await ductape.jobs.wait(job.job_id);
  log(`shortest: ${path.nodes.map((node) => node.properties.name).join(' - ')}, ${weight} km`);
  await operate('deleteNodes', { labels: ['ExampleCity'], all: true, detach: true });
}
