//! Answers as text.

use serde_json::Value;

use super::perform::Change;

/// The queues as a table.
pub(super) fn queues(found: &Value) -> String {
    let rows = found["queues"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines =
        vec![["CONNECTION", "WAITING", "OLDEST", "DEAD", "STATE", "LAST ERROR"].map(str::to_owned)];
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| row[name].as_u64().unwrap_or(0).to_string();
        let oldest = row["oldestseconds"].as_u64().map_or_else(|| "-".to_owned(), age);
        let by = match text("by") {
            by if by.is_empty() => String::new(),
            by => format!(" by {by}"),
        };
        let state = format!("{}{by}", text("state"));
        lines.push([text("connection"), number("pending"), oldest, number("dead"), state, text("error")]);
    }
    let mut table = columns(&lines);
    for row in rows {
        let filtered = row["filtered"].as_u64().unwrap_or(0);
        if filtered > 0 {
            let verb = if filtered == 1 { "message was" } else { "messages were" };
            let name = row["connection"].as_str().unwrap_or_default();
            table += &format!("{name}: {filtered} {verb} not for it.\n");
        }
    }
    if found["running"] != true {
        table += "The daemon is down.\n";
    }
    table
}

/// Rows with their columns under each other; the last is as long as it is.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// What a change came to.
pub(super) fn done(name: &str, change: &Change, done: &Value) -> String {
    let count = done["messages"].as_u64().unwrap_or(0);
    let mut text = match change {
        Change::Pause => format!("{name} is paused; go on with --resume {name}\n"),
        Change::Resume => format!("{name} goes on\n"),
        Change::Resend(_) => {
            format!("{name}: {count} {} sent again\n", if count == 1 { "message is" } else { "messages are" })
        }
        Change::Drop(_) => {
            format!("{name}: {count} {} dropped\n", if count == 1 { "message is" } else { "messages are" })
        }
    };
    for refused in done["why"].as_array().into_iter().flatten() {
        let why = refused["why"].as_str().unwrap_or_default();
        text += &format!("{name}: message {} {why}\n", refused["message"]);
    }
    let more = done["refused"]
        .as_u64()
        .unwrap_or(0)
        .saturating_sub(done["why"].as_array().map_or(0, Vec::len) as u64);
    if more > 0 {
        text += &format!("{name}: and {more} more\n");
    }
    text
}

/// A delivery in one line.
pub(super) fn delivery(line: &Value) -> String {
    let text = |name: &str| match line[name].as_str() {
        Some("") | None => "-".to_owned(),
        Some(text) => text.escape_debug().to_string(),
    };
    let mut shown = String::new();
    if let Some(count) = line["leftout"].as_u64() {
        shown = format!("({count} left out)\n");
    }
    let (answer, outcome) = (text("answer"), text("outcome"));
    let result = if answer == "-" { outcome } else { format!("{answer} {outcome}") };
    shown
        + &format!(
            "{} {} {} -> {} {result} {} ms\n",
            text("id"),
            text("type"),
            text("from"),
            text("to"),
            line["milliseconds"]
        )
}

/// A duration, in its largest two units.
fn age(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, h, ..) => format!("{d}d{h}h"),
    }
}
