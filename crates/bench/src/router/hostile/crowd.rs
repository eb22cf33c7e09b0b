//! Peers that do not work.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpRepair;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use super::tls::Clients;
use super::{CROWD, Place};

/// The pause between two turns of those that do something.
const TURN: Duration = Duration::from_millis(10);
/// How many of the slow ones send a byte in a turn.
const SLOW: usize = 10;
/// How many send frames that never end, beside the others.
const ENDLESS: usize = 4;
/// Bytes that one of those sends in a turn.
const ENDLESS_RATE: usize = 16 << 10;
/// How many in a handshake are looked at in a turn, whether they were cut off.
const LOOKED_AT: usize = 20;
/// Whence the half-open ones come: nobody else of this address gets one of their ports.
const GONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Of ten peers, three are idle, three slow (in the middle of a frame, to which they add a byte now and then), two
/// half-open (gone, without a word to the router), one idle after a handshake of TLS, and one in the middle of one: these
/// the router cuts off after 20 seconds, and they come again. Some more send frames that never end, as fast as they are
/// read up to a bound.
pub(super) struct Crowd<'a> {
    place: &'a Place<'a>,
    clients: Clients,
    idle: Vec<TcpStream>,
    slow: Vec<TcpStream>,
    endless: Vec<TcpStream>,
    shaking: Vec<TcpStream>,
    in_tls: Vec<StreamOwned<ClientConnection, TcpStream>>,
}

impl<'a> Crowd<'a> {
    pub(super) fn gather(place: &'a Place<'a>, message: &[u8]) -> io::Result<Crowd<'a>> {
        let mut crowd = Crowd {
            place,
            clients: Clients::new(place.certificates)?,
            idle: Vec::new(),
            slow: Vec::new(),
            endless: Vec::new(),
            shaking: Vec::new(),
            in_tls: Vec::new(),
        };
        let begun = [b"\x0B", &message[..message.len() / 2]].concat();
        let half_open = crowd.come(CROWD / 5, |_| vanishing(place.plain))?;
        crowd.idle = crowd.come(CROWD * 3 / 10, |_| TcpStream::connect(place.plain))?;
        let within_a_frame = |_| {
            let mut stream = TcpStream::connect(place.plain)?;
            stream.write_all(&begun)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        crowd.slow = crowd.come(CROWD * 3 / 10, within_a_frame)?;
        crowd.endless = crowd.come(ENDLESS, within_a_frame)?;
        crowd.in_tls = crowd.come(CROWD / 10, |_| crowd.clients.connect(place.tls))?;
        vanish(half_open, &mut crowd.idle);
        // Last, for their time is short.
        crowd.shaking = crowd.come(CROWD / 10, |number| crowd.clients.begin(place.tls, number))?;
        Ok(crowd)
    }

    fn come<T>(&self, count: usize, one: impl FnMut(usize) -> io::Result<T>) -> io::Result<Vec<T>> {
        (0..count).map(one).collect()
    }

    /// Does what it does until it is `over`; gives how many came again.
    ///
    /// # Errors
    /// What the system says about those that come again.
    pub(super) fn annoy(&mut self, over: &AtomicBool) -> io::Result<usize> {
        let piece = vec![b'x'; ENDLESS_RATE];
        let (mut turn, mut again) = (0, 0);
        while !over.load(Ordering::Relaxed) {
            // One that was closed takes nothing; what does not fit is not sent.
            for stream in &mut self.endless {
                let _ = stream.write(&piece);
            }
            for number in 0..SLOW {
                let slow = (turn * SLOW + number) % self.slow.len();
                let _ = self.slow[slow].write(b"x");
            }
            for number in 0..LOOKED_AT {
                let number = (turn * LOOKED_AT + number) % self.shaking.len();
                if is_cut_off(&mut self.shaking[number]) {
                    self.shaking[number] = self.clients.begin(self.place.tls, number)?;
                    again += 1;
                }
            }
            turn += 1;
            std::thread::sleep(TURN);
        }
        Ok(again)
    }
}

fn is_cut_off(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 4096]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// One that will be gone.
fn vanishing(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((GONE, 0)).into())?;
    socket.connect(&address.into())?;
    Ok(socket)
}

/// Lets these go without a word, as a peer does whose power fails. Who may not (it takes CAP_NET_ADMIN) lets them be idle.
fn vanish(sockets: Vec<Socket>, idle: &mut Vec<TcpStream>) {
    for socket in sockets {
        if let Err(error) = setsockopt(&socket, TcpRepair, &1) {
            if idle.len() == CROWD * 3 / 10 {
                eprintln!("  no peer is half-open, {error}: they are idle instead; root may do it");
            }
            idle.push(socket.into());
        }
    }
}
