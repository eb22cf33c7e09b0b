//! Both sides, with and without a connection id, and what a server must bear.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::llp::{Event, Failure, Kind, Link, NoteKind, SendError};

const ASK: &[u8] = b"MSH|^~\\&|A|B|C|D|1||NMD|7|P|2.1\r";
const REPLY: &[u8] = b"MSH|^~\\&|C|D|A|B|2||ACK|8|P|2.1\rMSA|AA|7\r";

fn events(link: &mut impl Link) -> Vec<Event> {
    std::iter::from_fn(|| link.poll_event()).collect()
}

fn bytes(link: &mut impl Link) -> Vec<u8> {
    let mut out = Vec::new();
    link.poll_transmit(&mut out);
    out
}

fn message(bytes: &[u8]) -> Event {
    Event::Message { message: bytes.to_vec(), answers: None }
}

/// Gives a server the stream in pieces, then the end of it.
fn serve(stream: &[u8], piece: usize) -> (Server, Vec<Event>) {
    let now = Instant::now();
    let mut server = Server::new(Settings::default(), now);
    for part in stream.chunks(piece.max(1)) {
        server.handle_input(part, now);
        assert_eq!(events(&mut server), [], "nothing before the end of the input");
    }
    server.handle_eof(now);
    let events = events(&mut server);
    (server, events)
}

#[test]
fn one_transaction() {
    let now = Instant::now();
    let mut client = Client::new(Settings { token: b"lab1".to_vec(), ..Settings::default() });
    let id = client.send(&ASK[..ASK.len() - 1], Kind::Request, now).unwrap();
    assert_eq!(client.send(ASK, Kind::Request, now), Err(SendError::Closed));
    assert_eq!(events(&mut client), [Event::FinishOutput]);
    let sent = bytes(&mut client);
    assert_eq!(sent, [b"lab1\x02", ASK].concat());

    for piece in [1, 3, 1000] {
        let (mut server, said) = serve(&sent, piece);
        assert_eq!(said, [message(ASK)]);
        assert_eq!(server.token(), b"lab1");
        assert_eq!(server.poll_timeout(), None, "the program takes the time it takes");
        server.send(REPLY, Kind::Reply, now).unwrap();
        assert!(matches!(events(&mut server)[..], [Event::Sent(_), Event::FinishOutput, Event::Closed]));
        assert_eq!(bytes(&mut server), REPLY);
    }

    client.handle_input(&REPLY[..5], now);
    client.handle_input(&REPLY[5..], now);
    client.handle_eof(now);
    let answer = Event::Message { message: REPLY.to_vec(), answers: Some(id) };
    assert_eq!(events(&mut client), [Event::Delivered(id), answer, Event::Closed]);
}

#[test]
fn a_token_ends_within_64_bytes_and_before_any_cr() {
    assert_eq!(serve(ASK, 9).0.token(), b"");
    let late = [&[b'a'; 64][..], b"\x02MSH|\r"].concat();
    assert_eq!(serve(&late, 9).1, [message(&late)]);
    let just = [&[b'a'; 63][..], b"\x02MSH|\r"].concat();
    assert_eq!(serve(&just, 9).0.token(), &[b'a'; 63]);
    let after_cr = b"MSH|\r\x02PID|\r";
    assert_eq!(serve(after_cr, 9).1, [message(after_cr)]);
    assert_eq!(serve(b"\x02MSH|\r", 9).1, [message(b"MSH|\r")]);
}

#[test]
fn a_malformed_token_or_an_empty_request_is_closed_without_a_reply() {
    let (mut server, said) = serve(b"two words\x02MSH|\r", 4);
    assert!(matches!(&said[..], [Event::Note(n), Event::Closed] if n.kind == NoteKind::BadToken));
    assert_eq!(server.send(REPLY, Kind::Reply, Instant::now()), Err(SendError::Closed));
    assert_eq!(serve(b"", 1).1, [Event::Closed]);
    assert_eq!(serve(b"lab1\x02", 1).1, [Event::Closed]);
}

#[test]
fn limits_and_timeouts() {
    let now = Instant::now();
    let small = Settings { max_message: 10, ..Settings::default() };
    let mut server = Server::new(small.clone(), now);
    server.handle_input(&[b'x'; 11], now);
    server.handle_eof(now);
    assert!(
        matches!(&events(&mut server)[..], [Event::Note(n), Event::Closed] if n.kind == NoteKind::TooLong)
    );
    assert_eq!(Client::new(small).send(ASK, Kind::Request, now), Err(SendError::TooLong(10)));

    let mut server = Server::new(Settings::default(), now);
    let due = now + Duration::from_secs(60);
    assert_eq!(server.poll_timeout(), Some(due));
    server.handle_timeout(due);
    assert!(matches!(&events(&mut server)[..], [Event::Note(n), Event::Closed] if n.kind == NoteKind::Stale));

    let mut client = Client::new(Settings::default());
    let id = client.send(ASK, Kind::Request, now).unwrap();
    client.handle_timeout(due);
    let failed = Event::Failed(id, Failure::NoAnswer(1));
    assert_eq!(events(&mut client), [Event::FinishOutput, failed, Event::Closed]);
    client.handle_eof(due);
    assert_eq!(events(&mut client), []);
}

#[test]
fn a_connection_that_ends_without_a_reply_is_a_failure() {
    let now = Instant::now();
    let mut client = Client::new(Settings::default());
    let id = client.send(ASK, Kind::Request, now).unwrap();
    client.handle_eof(now);
    let failed = Event::Failed(id, Failure::Disconnected);
    assert_eq!(events(&mut client), [Event::FinishOutput, failed, Event::Closed]);
}

#[test]
fn settings_are_checked() {
    let with = |token: &[u8]| Settings { token: token.to_vec(), ..Settings::default() };
    assert_eq!(with(b"a b").check().unwrap_err().setting, "token");
    assert_eq!(with(&[b'a'; 64]).check().unwrap_err().setting, "token");
    assert!(with(b"lab-1").check().is_ok());
}

proptest! {
    #[test]
    fn a_request_crosses_in_any_pieces(token in "[!-~]{0,63}", text in "MSH\\|[ -~\r]{0,200}\r", piece in 1usize..50) {
        let mut client = Client::new(Settings { token: token.as_bytes().to_vec(), ..Settings::default() });
        client.send(text.as_bytes(), Kind::Request, Instant::now()).unwrap();
        let (server, said) = serve(&bytes(&mut client), piece);
        prop_assert_eq!(said, [message(text.as_bytes())]);
        prop_assert_eq!(server.token(), token.as_bytes());
    }
}
