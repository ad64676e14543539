//! Compares what two stores hold.

use super::copying::MoveParams;
use super::{Cell, Phase, Row, TABLES, TransferEnd};
use crate::error::{Error, ErrorCode, Result};
use ring::digest::{Context, SHA256};
use std::collections::BTreeMap;

/// Compares what both stores hold: how many rows each table has, and a checksum of them, whatever their order.
pub(super) async fn verify(
    params: &MoveParams<'_>,
    source: &mut dyn TransferEnd,
    target: &mut dyn TransferEnd,
) -> Result<()> {
    let (_, _, total) = params.progress.now();
    params.progress.begin(Phase::Verifying, 0, total.saturating_mul(2));
    let normal = target.lacks_nul();
    let before = sums(params, source, normal).await?;
    let after = sums(params, target, normal).await?;
    let Some((table, old)) = before.iter().find(|(table, sum)| after.get(*table) != Some(*sum)) else {
        return Ok(());
    };
    let new = after.get(table).copied().unwrap_or_default();
    let message = format!(
        "what was copied is not the same: `{table}` has {} rows in {} and {} in {}{}; the old store is whole. Give the move up with \
         `ductape move --give-up`, delete what was copied, and begin again",
        old.rows,
        params.from.label(),
        new.rows,
        params.to.label(),
        if old.rows == new.rows {
            ", with other contents"
        } else {
            ""
        },
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

/// Rows, and the sum of their digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    digest: u128,
}

async fn sums(params: &MoveParams<'_>, end: &mut dyn TransferEnd, normal: bool) -> Result<BTreeMap<&'static str, Sum>> {
    let mut sums: BTreeMap<&'static str, Sum> = BTreeMap::new();
    for table in TABLES {
        let mut after = Vec::new();
        loop {
            let rows = end.rows(table, &after).await?;
            let Some(last) = rows.last() else { break };
            after = table.key_of(last);
            params.progress.add(rows.len());
            let sum = sums.entry(table.becomes).or_default();
            for row in rows {
                let row = if normal { without_nul(row) } else { row };
                sum.rows += 1;
                sum.digest = sum.digest.wrapping_add(digest(&row));
            }
        }
    }
    Ok(sums)
}

fn digest(row: &[Cell]) -> u128 {
    let mut context = Context::new(&SHA256);
    for cell in row {
        match cell {
            Cell::Null => context.update(&[0]),
            Cell::Integer(number) => {
                context.update(&[1]);
                context.update(&number.to_le_bytes());
            }
            Cell::Text(text) => {
                context.update(&[2]);
                context.update(&text.len().to_le_bytes());
                context.update(text.as_bytes());
            }
        }
    }
    let digest = context.finish();
    let half: [u8; 16] = digest.as_ref().first_chunk().copied().unwrap_or_default();
    u128::from_le_bytes(half)
}

/// The row as a store has it that cannot keep U+0000.
pub(super) fn without_nul(mut row: Row) -> Row {
    for cell in &mut row {
        if let Cell::Text(text) = cell
            && text.contains('\0')
        {
            *text = text.replace('\0', "\u{fffd}").into();
        }
    }
    row
}
