//! Brokers that are there: `DUCTAPE_TEST_RABBITMQ`, `_REDIS`, `_NATS`, `_MQTT`, `_KAFKA` and `_SQS` name them; without the variable a test is
//! reported as skipped. What holds for all stands in `common`, once for each; what only one has, in a module of its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod common;
mod faults;
mod kafka;
mod mqtt;
mod nats;
#[cfg(feature = "pubsub")]
mod pubsub;
mod rabbitmq;
mod redis;
#[cfg(any(feature = "pubsub", feature = "service-bus"))]
mod scripted;
mod secured;
#[cfg(feature = "service-bus")]
mod service_bus;
#[cfg(feature = "sqs")]
mod sqs;
mod support;
