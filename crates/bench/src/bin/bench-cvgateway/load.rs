//! What senders send: messages at a rate that the gateway sets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Result;

/// Senders at a time.
const SENDERS: usize = 8;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Each of these messages over a connection of its own; messages a second, and the longest answer.
pub(crate) fn load(
    address: SocketAddr,
    message: impl Fn(u64) -> Vec<u8> + Sync,
    numbers: std::ops::Range<u64>,
) -> Result<(f64, Duration)> {
    load_answered(address, message, numbers, "AA")
}

/// The same where each is answered so.
pub(crate) fn load_answered(
    address: SocketAddr,
    message: impl Fn(u64) -> Vec<u8> + Sync,
    numbers: std::ops::Range<u64>,
    code: &str,
) -> Result<(f64, Duration)> {
    let (next, begun) = (AtomicU64::new(numbers.start), Instant::now());
    let one = || -> io::Result<Duration> {
        let (mut longest, mut answer) = (Duration::ZERO, Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return Ok(longest);
            }
            let (request, sent) = (message(number), Instant::now());
            transact(address, &request, &mut answer)?;
            longest = longest.max(sent.elapsed());
            if !says(&answer, &format!("\rMSA|{code}|")) {
                return Err(io::Error::other(format!("answered {}", answer.escape_ascii())));
            }
        }
    };
    let longest: Vec<io::Result<Duration>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SENDERS).map(|_| scope.spawn(one)).collect();
        let gone = |_| io::Error::other("a thread of the load has ended");
        threads.into_iter().map(|thread| thread.join().map_err(gone).and_then(|longest| longest)).collect()
    });
    let taken = begun.elapsed().as_secs_f64();
    let longest = longest.into_iter().collect::<io::Result<Vec<_>>>()?.into_iter().max().unwrap_or_default();
    Ok(((numbers.end - numbers.start) as f64 / taken, longest))
}

/// Whether this stands in an answer.
pub(crate) fn says(answer: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(answer).contains(text)
}

/// A message over a connection of its own, and its answer.
pub(crate) fn transact(address: SocketAddr, request: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
    answer.clear();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(request)?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(answer).map(drop)
}

/// An admission, a transfer, an update and a discharge in turn.
pub(crate) fn adt(number: u64) -> Vec<u8> {
    let (event, record) = (["A01", "A02", "A08", "A03"][number as usize % 4], number / 4);
    format!(
        "MSH|^~\\&|ADM|HOSP|CVGATEWAY|060_IOP|202611241200||ADT^{event}|A{number}|P|2.3\rEVN|{event}|202611241200\r\
         PID|1||A{record}^5^M11||Muster^Eva||19500203|F|||Weg 1^^Ulm||0731-1\rNK1|1|Muster^Otto|NK|Weg 1|1~2\r\
         PV1|1|I|IOP^601^1|||IOP^602^2|||Dr. Chef|CHI|||||||||{record}\rAL1|1||P^Penicillin\rDG1|1||I21|Infarkt\r"
    )
    .into_bytes()
}

/// Of two, one is an ADT and one an ORU.
pub(crate) fn both(number: u64) -> Vec<u8> {
    if number.is_multiple_of(2) { adt(number) } else { oru(number) }
}

/// A blood gas analysis of 20 results, each converted.
pub(crate) fn oru(number: u64) -> Vec<u8> {
    let mut message = format!(
        "MSH|^~\\&|ABL|HOSP|CVGATEWAY|060_IOP|202611241200||ORU^R01|O{number}|P|2.3\r\
         PID|1||A{number}||Muster^Eva\rPV1|1|I|IOP^601^1||||||||||||||||{number}\r\
         OBR|1||{number}|BGA|||202611241155||||||||BLDA\r"
    );
    let results = [
        ("2703-7", "75", "mm(hg)"),
        ("9948-1", "8.0", "mmol/l"),
        ("2714-4", "97.2", "%"),
        ("6298-4", "156.4", "mg/l"),
        ("2947-0", "140", "mmol/l"),
        ("1994-3", "9.6", "mg/dl"),
        ("2069-3", "104", "mmol/l"),
        ("2339-0", "90", "mg/dl"),
        ("9984-6", "98.6", "degf"),
        ("2704-5", "12.3", "kPal"),
    ];
    for (n, (code, value, unit)) in results.iter().cycle().take(20).enumerate() {
        message += &format!("OBX|{}|NM|{code}^X^L||{value}|{unit}|||||F\r", n + 1);
    }
    message.into_bytes()
}
