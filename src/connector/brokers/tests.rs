//! Brokers that are there: `DUCTAPE_TEST_RABBITMQ`, `_REDIS`, `_NATS` and `_MQTT` name them; without the variable a test is
//! reported as skipped. What holds for all stands in `common`, once for each; what only one has, in a module of its name.

mod common;
mod faults;
mod kit;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
mod secured;
