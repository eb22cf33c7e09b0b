use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use protogen_sys::event_loop::{Drained, Event, EventLoop, Interest, Signal, Token, drain, push};

const SOCKET: Token = Token(7);

/// A pair of connected sockets, the first of them in the loop.
fn connected(events: &EventLoop) -> (mio::net::TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let near = listener.accept().unwrap().0;
    near.set_nonblocking(true).unwrap();
    let mut near = mio::net::TcpStream::from_std(near);
    events.registry().register(&mut near, SOCKET, Interest::READABLE).unwrap();
    (near, far)
}

#[test]
fn what_arrives_is_drained_and_the_end_is_seen() {
    let mut events = EventLoop::new(&[]).unwrap();
    let (mut near, mut far) = connected(&events);
    far.write_all(b"hello").unwrap();
    assert_eq!(events.wait().unwrap(), Event::Readable(SOCKET));
    let mut got = Vec::new();
    let mut buffer = [0; 2];
    let mut take = |piece: &[u8]| {
        got.extend_from_slice(piece);
        ControlFlow::Continue(())
    };
    assert_eq!(drain(&mut near, &mut buffer, 100, &mut take).unwrap(), Drained::WouldBlock);
    assert_eq!(events.wait_within(Some(Duration::ZERO)).unwrap(), None, "drained: nothing more to tell");
    far.shutdown(Shutdown::Write).unwrap();
    assert_eq!(events.wait().unwrap(), Event::Readable(SOCKET));
    assert_eq!(drain(&mut near, &mut buffer, 100, &mut take).unwrap(), Drained::End);
    assert_eq!(got, b"hello");
}

#[test]
fn who_stops_early_is_called_again_and_others_have_their_turn() {
    let mut events = EventLoop::new(&[]).unwrap();
    let (mut near, mut far) = connected(&events);
    far.write_all(&[b'x'; 1000]).unwrap();
    assert_eq!(events.wait().unwrap(), Event::Readable(SOCKET));
    let mut buffer = [0; 64];
    let mut count = 0;
    let mut take = |piece: &[u8]| {
        count += piece.len();
        ControlFlow::Continue(())
    };
    assert_eq!(drain(&mut near, &mut buffer, 600, &mut take).unwrap(), Drained::Stopped);
    events.revisit(SOCKET);
    events.revisit(SOCKET);
    events.set_timer(Token(1), Instant::now());
    assert_eq!(events.wait().unwrap(), Event::Timer(Token(1)));
    assert_eq!(events.wait().unwrap(), Event::Readable(SOCKET));
    assert_eq!(drain(&mut near, &mut buffer, 600, &mut take).unwrap(), Drained::WouldBlock);
    assert_eq!(count, 1000);
    assert_eq!(events.wait_within(Some(Duration::ZERO)).unwrap(), None);
    let broken_off = drain(&mut &b"abc"[..], &mut [0; 1], 100, |_| ControlFlow::Break(())).unwrap();
    assert_eq!(broken_off, Drained::Stopped);
}

#[test]
fn writing_stops_when_it_would_block_and_goes_on_when_there_is_room() {
    let mut events = EventLoop::new(&[]).unwrap();
    let (mut near, mut far) = connected(&events);
    let all = vec![b'y'; 32 << 20];
    let mut written = push(&mut near, &all).unwrap();
    assert!(written < all.len());
    let reader = std::thread::spawn(move || {
        let mut got = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match far.read(&mut buffer).unwrap() {
                0 => return got,
                count => got += count,
            }
        }
    });
    events.registry().reregister(&mut near, SOCKET, Interest::WRITABLE).unwrap();
    while written < all.len() {
        assert_eq!(events.wait().unwrap(), Event::Writable(SOCKET));
        written += push(&mut near, &all[written..]).unwrap();
    }
    drop(near);
    assert_eq!(reader.join().unwrap(), all.len());
}

#[test]
fn timers_come_in_order_once_and_can_be_taken_back() {
    let mut events = EventLoop::new(&[]).unwrap();
    let now = Instant::now();
    for (token, millis) in [(3, 3), (1, 1), (2, 2), (4, 0), (5, 0)] {
        events.set_timer(Token(token), now + Duration::from_millis(millis));
    }
    events.clear_timer(Token(4));
    events.update_timer(Token(5), None);
    events.update_timer(Token(6), Some(now + Duration::from_millis(4)));
    let order: Vec<Event> = (0..4).map(|_| events.wait().unwrap()).collect();
    assert_eq!(order, [1, 2, 3, 6].map(|token| Event::Timer(Token(token))));
    assert!(Instant::now() >= now + Duration::from_millis(4), "never early");
    assert_eq!(events.wait_within(Some(Duration::from_millis(5))).unwrap(), None);
}

#[test]
fn a_token_that_is_forgotten_is_silent() {
    let mut events = EventLoop::new(&[]).unwrap();
    let (near, mut far) = connected(&events);
    far.write_all(b"x").unwrap();
    events.set_timer(Token(1), Instant::now());
    events.set_timer(SOCKET, Instant::now());
    // All three are collected in one turn; the first is handed out, the others wait.
    assert_eq!(events.wait().unwrap(), Event::Readable(SOCKET));
    events.revisit(SOCKET);
    events.forget(SOCKET);
    drop(near);
    assert_eq!(events.wait().unwrap(), Event::Timer(Token(1)));
    assert_eq!(events.wait_within(Some(Duration::ZERO)).unwrap(), None);
}

#[test]
fn other_threads_and_signals_wake_it() {
    let mut events = EventLoop::new(&[Signal::User2, Signal::Window]).unwrap();
    let waker = events.waker();
    let thread = std::thread::spawn(move || waker.wake().unwrap());
    assert_eq!(events.wait().unwrap(), Event::Woken);
    thread.join().unwrap();
    let raise = |signal| nix::sys::signal::raise(signal).unwrap();
    raise(nix::sys::signal::SIGUSR2);
    raise(nix::sys::signal::SIGUSR2);
    raise(nix::sys::signal::SIGWINCH);
    let mut two = [events.wait().unwrap(), events.wait().unwrap()];
    two.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(two, [Event::Signal(Signal::User2), Event::Signal(Signal::Window)]);
    assert_eq!(events.wait_within(Some(Duration::ZERO)).unwrap(), None, "several of one kind are one event");
}
