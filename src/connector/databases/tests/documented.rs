//! Every documented shape of an input, on every kind of database: what it does, or that it is declined and why.

mod reads;
mod writes;

use super::support::TestDatabase;
use serde_json::Value;

const TABLES: [&str; 2] = [
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status varchar(20), total decimal(12,2), note varchar(60))",
    "CREATE TABLE counters (name varchar(40) PRIMARY KEY, n int, m int)",
];
const ROWS: &str = r#"{"table":"orders","records":[
    {"id":1,"customer_id":7,"status":"open","total":"10.50","note":"100%"},
    {"id":2,"customer_id":7,"status":"paid","total":20,"note":null},
    {"id":3,"customer_id":8,"status":"open","total":"5.25","note":"Big box"},
    {"id":4,"customer_id":9,"status":"void","total":null,"note":"big"}]}"#;

async fn databases() -> Vec<TestDatabase> {
    let databases = TestDatabase::all().await;
    for database in &databases {
        for table in TABLES {
            database.sql(table).await;
        }
        database.run("insert", ROWS).await;
    }
    databases
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The ids of the rows of a result, in order.
fn ids(text: &str) -> Vec<i64> {
    let value = parsed(text);
    let rows = value["rows"].as_array().unwrap_or_else(|| panic!("no rows: {text}"));
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}
