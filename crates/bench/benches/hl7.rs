//! Parsing, field access and acknowledgments, beside the crates that do the same.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hl7_parser::query::LocationQuery;
use protogen_core::hl7::{AckCode, Acknowledgment, Index, Message, Path, decode};
use std::hint::black_box;

const ORU: &[u8] = include_bytes!("../../../tests/data/hl7/oru.hl7");
const ADT: &[u8] = include_bytes!("../../../tests/data/hl7/adt.hl7");

/// Ten fields that a router or a gateway reads of a result, and of an admission.
const ORU_FIELDS: [&str; 10] = [
    "MSH-9.1",
    "MSH-9.2",
    "MSH-10",
    "PID-3.1",
    "PID-5.1",
    "PV1-19.1",
    "OBR-4.1",
    "OBX[3]-3.1",
    "OBX[3]-5",
    "OBX[12]-6",
];
const ADT_FIELDS: [&str; 10] = [
    "MSH-9.1", "MSH-9.2", "MSH-10", "PID-3.1", "PID-5.1", "PID-5.2", "PID-7", "PV1-3.1", "PV1-19.1",
    "AL1-3.2",
];

fn parse(criterion: &mut Criterion) {
    for (name, bytes, fields) in [("oru", ORU, ORU_FIELDS), ("adt", ADT, ADT_FIELDS)] {
        let text = std::str::from_utf8(bytes).unwrap();
        let paths = fields.map(|field| field.parse::<Path>().unwrap());
        let mut group = criterion.benchmark_group(format!("hl7/parse-{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut index = Index::default();
        group.bench_function("index", |b| {
            b.iter(|| {
                let message = Message::parse_with(black_box(bytes), std::mem::take(&mut index)).unwrap();
                index = black_box(message).into_index();
            });
        });
        group.bench_function("index-10-fields", |b| {
            b.iter(|| {
                let message = Message::parse_with(black_box(bytes), std::mem::take(&mut index)).unwrap();
                let read: usize = paths.iter().map(|path| message.get(path).text().len()).sum();
                black_box(read);
                index = message.into_index();
            });
        });
        group.bench_function("every-component", |b| {
            b.iter(|| {
                let message = Message::parse_with(black_box(bytes), std::mem::take(&mut index)).unwrap();
                black_box(every_component(&message));
                index = message.into_index();
            });
        });
        let queries = fields.map(dotted);
        group.bench_function("hl7-parser-10-fields", |b| {
            b.iter(|| {
                let message = hl7_parser::Message::parse(black_box(text)).unwrap();
                let read: usize = queries
                    .iter()
                    .filter_map(|query| message.query(query.clone()))
                    .map(|value| value.raw_value().len())
                    .sum();
                black_box(read);
            });
        });
        let queries = fields.map(lettered);
        group.bench_function("rust-hl7-10-fields", |b| {
            b.iter(|| {
                let message = rusthl7::message::Message::new(black_box(text));
                let read: usize = queries.iter().map(|query| message.query(query.as_str()).len()).sum();
                black_box(read);
            });
        });
        group.bench_function("hl7-2-10-fields", |b| {
            b.iter(|| {
                let message = hl7_2::parse(black_box(text)).unwrap();
                let read: usize = fields
                    .iter()
                    .filter_map(|field| message.get(field).unwrap())
                    .map(|value| value.len())
                    .sum();
                black_box(read);
            });
        });
        group.finish();
    }
}

fn every_component(message: &Message) -> usize {
    let components = message
        .segments()
        .flat_map(|segment| segment.fields())
        .flat_map(|field| field.repetitions())
        .flat_map(|repetition| repetition.components());
    components.map(|component| component.raw().len()).sum()
}

/// `OBX[3]-5.1` as hl7-parser writes it: `OBX[3].5.1`.
fn dotted(field: &str) -> LocationQuery {
    LocationQuery::parse(&field.replace('-', ".")).unwrap()
}

/// `OBX[3]-5.1` as rust-hl7 writes it: `OBX.F5.R1.C1`. It knows the first segment of a name only.
fn lettered(field: &str) -> String {
    let path: Path = field.parse().unwrap();
    let component = path.component.map(|n| format!(".R1.C{n}")).unwrap_or_default();
    format!("{}.F{}{component}", &field[..3], path.field.unwrap())
}

fn access(criterion: &mut Criterion) {
    let message = Message::parse(ORU).unwrap();
    let mut group = criterion.benchmark_group("hl7/access");
    let first: Path = "PID-5.1".parse().unwrap();
    group.bench_function("component", |b| b.iter(|| message.get(black_box(&first)).raw().len()));
    let last: Path = "OBX[12]-5".parse().unwrap();
    group.bench_function("twelfth-obx", |b| b.iter(|| message.get(black_box(&last)).raw().len()));
    group.bench_function("decode", |b| {
        b.iter(|| decode(black_box(br"a\T\b and c\F\d"), message.delimiters()).len())
    });
    group.finish();
}

fn ack(criterion: &mut Criterion) {
    let message = Message::parse(ORU).unwrap();
    let mut out = Vec::new();
    let mut group = criterion.benchmark_group("hl7/ack");
    group.bench_function("write", |b| {
        b.iter(|| {
            out.clear();
            let ack =
                Acknowledgment { time: b"20261123", control_id: b"1", ..Acknowledgment::new(AckCode::AA) };
            ack.write(black_box(&message), &mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

criterion_group!(benches, parse, access, ack);
criterion_main!(benches);
