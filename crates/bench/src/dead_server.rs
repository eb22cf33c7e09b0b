//! Servers that are no good, each in its way: how soon a program gives up on one is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a connection to a full queue is tried, until the queue counts as full.
const FULL: Duration = Duration::from_millis(500);
/// What is read of a message before its connection is cut, in bytes.
const BEFORE_CUT: usize = 64 << 10;
/// A byte so often comes from a server that never ends its answer.
const TRICKLE: Duration = Duration::from_millis(100);

/// A server on loopback, dead as long as this is held.
#[derive(Debug)]
pub struct DeadServer {
    /// Where it would be.
    pub address: SocketAddr,
    _held: Held,
}

/// What keeps a server as dead as it is.
#[derive(Debug)]
enum Held {
    /// Nothing: nobody listens.
    Nothing,
    /// Nobody accepts.
    Listener(#[allow(dead_code)] TcpListener),
    /// Nobody accepts, and the system takes no more for it.
    Queue(#[allow(dead_code)] socket2::Socket, #[allow(dead_code)] Vec<TcpStream>),
}

impl DeadServer {
    /// It refuses connections.
    ///
    /// # Errors
    /// What the system says.
    pub fn refuses() -> io::Result<DeadServer> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(DeadServer { address, _held: Held::Nothing })
    }

    /// The system takes connections for it, and it says nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn silent() -> io::Result<DeadServer> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Ok(DeadServer { address: listener.local_addr()?, _held: Held::Listener(listener) })
    }

    /// Its queue of connections is full, so that the system does not answer for it any more.
    ///
    /// # Errors
    /// What the system says.
    pub fn unreachable() -> io::Result<DeadServer> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        socket.listen(1)?;
        let address = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("no address"))?;
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, FULL) {
            waiting.push(stream);
        }
        Ok(DeadServer { address, _held: Held::Queue(socket, waiting) })
    }

    /// It resets a connection while the message is still on its way, if that is a large one.
    ///
    /// # Errors
    /// What the system says.
    pub fn cuts() -> io::Result<DeadServer> {
        DeadServer::each(|mut stream| {
            stream.read_exact(&mut vec![0; BEFORE_CUT])?;
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))
        })
    }

    /// It takes the message and closes the connection without an answer.
    ///
    /// # Errors
    /// What the system says.
    pub fn closes() -> io::Result<DeadServer> {
        DeadServer::each(|mut stream| io::copy(&mut stream, &mut io::sink()).map(drop))
    }

    /// It takes the message, and its answer has no end.
    ///
    /// # Errors
    /// What the system says.
    pub fn trickles() -> io::Result<DeadServer> {
        DeadServer::each(|mut stream| {
            io::copy(&mut stream, &mut io::sink())?;
            stream.write_all(b"MSH|^~\\&|")?;
            loop {
                stream.write_all(b"x")?;
                std::thread::sleep(TRICKLE);
            }
        })
    }

    /// One that does this with each connection. Its thread lives as long as the process.
    fn each(serve: fn(TcpStream) -> io::Result<()>) -> io::Result<DeadServer> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever gives up on it closes the connection, which is what is waited for.
                std::thread::spawn(move || drop(serve(stream)));
            }
        });
        Ok(DeadServer { address, _held: Held::Nothing })
    }
}
