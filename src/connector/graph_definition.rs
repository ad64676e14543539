//! Graphs as `resources` define them, whether this build can do their work or not.

use super::{Connector, Definition, Failure, LeftToHandlers, ResourceName, ServedTarget};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::model::{Namespace, Route};
use crate::resources::{Graph, GraphEnv, Resources};
use async_trait::async_trait;
use std::sync::Arc;

/// One definition for each graph and environment in `resources`.
pub(super) fn definitions(resources: &Resources) -> Vec<Arc<dyn Definition>> {
    let mut all: Vec<Arc<dyn Definition>> = Vec::new();
    for (product, graph) in resources.graphs.iter() {
        all.extend(graph.envs.iter().map(|env| {
            Arc::new(GraphDefinition {
                product: product.into(),
                graph: Arc::clone(graph),
                env: env.clone(),
            }) as Arc<dyn Definition>
        }));
    }
    all
}

/// A graph in one environment.
struct GraphDefinition {
    product: Box<str>,
    graph: Arc<Graph>,
    env: GraphEnv,
}

impl GraphDefinition {
    fn pattern(&self, namespace: Namespace, event: Option<Box<str>>) -> Pattern {
        Pattern {
            namespace,
            product: Some(self.product.clone()),
            env: Some(self.env.slug.clone()),
            target: vec![Some(self.graph.tag.clone()), event],
        }
    }

    /// Why its jobs are left to a process with a handler, if they are.
    fn not_built_in(&self) -> Option<String> {
        let kind = self.graph.kind.name();
        let wait = "its jobs wait for a handler, registered by `ductape.graphs.handle`";
        if !self.graph.kind.is_built_in() {
            return Some(format!("the type '{kind}' is not built in; {wait}"));
        }
        if !self.env.speaks_bolt() {
            return Some(format!(
                "the type '{kind}' is built in for addresses with bolt:// and neo4j:// only; {wait}"
            ));
        }
        None
    }
}

#[async_trait]
impl Definition for GraphDefinition {
    fn name(&self) -> ResourceName {
        ResourceName {
            product: self.product.clone(),
            kind: "graph",
            tag: self.graph.tag.clone(),
            env: self.env.slug.clone(),
        }
    }

    fn targets(&self) -> Vec<ServedTarget> {
        if self.not_built_in().is_some() {
            return Vec::new();
        }
        let target = |namespace, event| ServedTarget {
            pattern: self.pattern(namespace, event),
            timeout: None,
        };
        let actions = self.graph.actions.iter();
        let mut targets: Vec<_> = actions
            .map(|action| target(Namespace::GraphActions, Some(action.tag.clone())))
            .collect();
        targets.push(target(Namespace::Graphs, None));
        targets
    }

    fn span_attributes(&self, route: &Route) -> Vec<(&'static str, Box<str>)> {
        let operation = route.target.last().cloned();
        let operation = operation.filter(|_| route.namespace == Namespace::Graphs);
        let system = [("db.system.name", self.graph.kind.name().into())].into_iter();
        system
            .chain(operation.map(|operation| ("db.operation.name", operation)))
            .collect()
    }

    fn left_to_handlers(&self) -> Vec<LeftToHandlers> {
        if self.not_built_in().is_none() {
            return Vec::new();
        }
        let left = |namespace| LeftToHandlers {
            pattern: self.pattern(namespace, None),
            type_name: self.graph.kind.name(),
        };
        vec![left(Namespace::Graphs), left(Namespace::GraphActions)]
    }

    async fn open(&self, expressions: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        if let Some(why) = self.not_built_in() {
            return Err(Failure::invalid(why));
        }
        open(&self.graph, &self.env, expressions).await
    }
}

#[cfg(feature = "graphs")]
use super::graphs::open;

#[cfg(not(feature = "graphs"))]
async fn open(_: &Arc<Graph>, _: &GraphEnv, _: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
    Err(Failure::invalid(
        "this build of the package has no graphs; register a handler for their jobs",
    ))
}
