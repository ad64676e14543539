//! Brokers that are there: `DUCTAPE_TEST_RABBITMQ`, `_REDIS`, `_NATS`, `_MQTT` and `_KAFKA` name them; without the variable a test is
//! reported as skipped. What holds for all stands in `common`, once for each; what only one has, in a module of its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod common;
mod faults;
mod kafka;
mod mqtt;
mod nats;
mod rabbitmq;
mod redis;
mod secured;
mod support;
