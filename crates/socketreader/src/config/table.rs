//! The rows of the table of options.

use std::time::Duration;

use super::options::{Fallback, OptionRow, Place, Set};
use super::value::Value;
use super::{LogLevel, Mask, MatchAck, OnRefusal, debug};

/// Every option, in the order of the manual.
pub static OPTIONS: &[OptionRow] = &[
    row(
        "logfile",
        Place::GENERAL,
        "FILE",
        Fallback::Words("standard error, or syslog in the background"),
        "where to log; its directory must exist",
        |d, v| {
            d.logfile = if v.unquoted()?.is_empty() { None } else { Some(v.path()?) };
            Ok(())
        },
    ),
    row(
        "loglvl",
        Place::GENERAL,
        "LEVEL",
        Fallback::Value("warning"),
        "critical, error, warning, prod, info or debug; prod and below log contents of messages",
        |d, v| put(&mut d.loglvl, v.one_of(&LEVELS)),
    ),
    lines(
        "useconnections",
        Place::GENERAL,
        "NAME, ...",
        Fallback::Required,
        "the connections to start: names of sections",
        |d, v| v.names().map(|names| d.useconnections = names),
    ),
    row(
        "statedir",
        Place::GENERAL,
        "DIRECTORY",
        Fallback::Words(
            "that of the first queuedb, else $STATE_DIRECTORY, else socketReader.state beside this file",
        ),
        "where the journal of messages is kept, on a local disk",
        |d, v| put(&mut d.statedir, v.path()),
    ),
    row(
        "durable",
        Place::GENERAL,
        "True | False",
        Fallback::Value("True"),
        "acknowledge a message only when it is on stable storage",
        |d, v| v.boolean().map(|on| d.durable = on),
    ),
    row(
        "keep",
        Place::GENERAL,
        "DAYS",
        Fallback::Value("7"),
        "how long delivered messages are kept; 0 keeps none",
        |d, v| v.days(0.0..=36_500.0).map(|time| d.keep = time),
    ),
    row(
        "keepsize",
        Place::GENERAL,
        "SIZE",
        Fallback::Value("2G"),
        "the most bytes of messages that are kept for that time",
        |d, v| v.size(0..=1 << 50).map(|size| d.keepsize = size),
    ),
    row(
        "alert",
        Place::GENERAL,
        "mail | COMMAND",
        Fallback::Words("nobody is called"),
        "who is told what needs a person: the administrator, or a command that reads it",
        |d, v| put(&mut d.alert, v.alert()),
    ),
    row(
        "mailinterval",
        Place::GENERAL,
        "SECONDS",
        Fallback::Value("900"),
        "the shortest time between two alerts about one queue",
        |d, v| v.seconds(1.0..=86_400.0).map(|time| d.mailinterval = time),
    ),
    row(
        "disklow",
        Place::GENERAL,
        "SIZE",
        Fallback::Value("1G"),
        "alert when the disk of statedir has less room; 0 never",
        |d, v| v.size(0..=1 << 50).map(|size| d.disklow = size),
    ),
    row(
        "slowsync",
        Place::GENERAL,
        "SECONDS",
        Fallback::Value("1"),
        "alert when storing takes longer than this; 0 never",
        |d, v| v.seconds(0.0..=3600.0).map(|time| d.slowsync = time),
    ),
    row(
        "metrics",
        Place::GENERAL,
        "ADDRESS:PORT",
        Fallback::Words("none"),
        "where figures for Prometheus and a health check are served over HTTP",
        |d, v| put(&mut d.metrics, v.socket_address()),
    ),
    row(
        "transtech",
        Place::CONNECTION,
        "file | socket",
        Fallback::Required,
        "what the connection works with",
        |d, v| put(&mut d.is_socket, v.one_of(&[("file", false), ("socket", true)])),
    ),
    row(
        "transdir",
        Place::CONNECTION,
        "in | out",
        Fallback::Required,
        "whether messages come in here or go out",
        |d, v| put(&mut d.is_input, v.one_of(&[("in", true), ("out", false)])),
    ),
    row(
        "usehl7",
        Place::CONNECTION,
        "True | False",
        Fallback::Value("False"),
        "messages are HL7, and answered with HL7 acknowledgments",
        |d, v| v.boolean().map(|on| d.usehl7 = on),
    ),
    row(
        "queuename",
        Place::CONNECTION,
        "NAME",
        Fallback::Required,
        "every output of a queue gets every message of its inputs",
        |d, v| put(&mut d.queuename, v.name()),
    ),
    row("maxsize", Place::INPUT, "SIZE", Fallback::Value("16M"), "the longest message taken", |d, v| {
        v.size(1 << 10..=1 << 30).map(|size| d.maxsize = size)
    }),
    row(
        "maxpending",
        Place::OUTPUT,
        "NUMBER",
        Fallback::Value("10000000"),
        "when so many messages wait here, senders are told to try later",
        |d, v| v.number(1..=u64::MAX >> 1).map(|number| d.maxpending = number),
    ),
    row(
        "maxage",
        Place::OUTPUT,
        "SECONDS",
        Fallback::Value("3600"),
        "alert when a message has waited longer than this; 0 never",
        |d, v| v.seconds(0.0..=31_536_000.0).map(|time| d.maxage = time),
    ),
    lines(
        "filter",
        Place::OUTPUT,
        "EXPRESSION",
        Fallback::Words("every message"),
        "which messages are delivered, such as MSH-9.1 == ADT and PV1-2 != O",
        |d, v| super::gate::filter(v).map(|filter| d.filter = filter),
    ),
    row(
        "dedupe",
        Place::OUTPUT,
        "SECONDS",
        Fallback::Value("0"),
        "a repeat of a message within this time is not delivered; 0 delivers all",
        |d, v| v.seconds(0.0..=604_800.0).map(|time| d.dedupe = time),
    ),
    row(
        "pipe",
        Place::OUTPUT,
        "COMMAND",
        Fallback::Words("messages go out as they came"),
        "a command that gets each message in a frame, and answers with what is to be sent",
        |d, v| super::gate::command(v).map(|command| d.pipe = command),
    ),
    row(
        "pipewait",
        Place::OUTPUT,
        "SECONDS",
        Fallback::Value("60"),
        "how long the command of pipe may take for one message",
        |d, v| v.seconds(0.1..=86_400.0).map(|time| d.pipewait = time),
    ),
    row(
        "queuedb",
        Place::SOCKET_OUT,
        "FILE",
        Fallback::Words("none"),
        "where version 1.2.4 kept its queue: its directory becomes statedir",
        |d, v| {
            d.queuedb = if v.unquoted()?.is_empty() { None } else { Some(v.path()?) };
            Ok(())
        },
    ),
    row(
        "useack",
        Place::SOCKET,
        "True | False",
        Fallback::Value("True"),
        "send or expect acknowledgments; without them messages can be lost",
        |d, v| v.boolean().map(|on| d.useack = on),
    ),
    row(
        "mllp2",
        Place::SOCKET,
        "True | False",
        Fallback::Value("False"),
        "speak MLLP release 2: HL7 messages and acknowledgments are each committed",
        |d, v| v.boolean().map(|on| d.mllp2 = on),
    ),
    row(
        "createserversocket",
        Place::SOCKET,
        "True | False",
        Fallback::Value("True"),
        "listen for peers, or connect to one",
        |d, v| v.boolean().map(|on| d.createserversocket = on),
    ),
    row(
        "ipaddr",
        Place::SOCKET,
        "HOST",
        Fallback::Value("127.0.0.1"),
        "the name or address to listen on or to connect to",
        |d, v| v.host().map(|host| d.ipaddr = host),
    ),
    row("port", Place::SOCKET, "PORT", Fallback::Value("22222"), "the port, 1024 to 65535", |d, v| {
        v.number(1024..=65_535).map(|port| d.port = port)
    }),
    row("sob", Place::SOCKET, "BYTES", Fallback::Value("chr(0x0b)"), "what begins a frame", |d, v| {
        v.delimiter().map(|bytes| d.sob = bytes)
    }),
    row(
        "eod",
        Place::SOCKET,
        "BYTES",
        Fallback::Value("chr(0x1c)"),
        "what ends the message in a frame",
        |d, v| v.delimiter().map(|bytes| d.eod = bytes),
    ),
    row(
        "eob",
        Place::SOCKET,
        "BYTES",
        Fallback::Value("chr(0x0d)"),
        "what ends a frame, right after eod",
        |d, v| v.delimiter().map(|bytes| d.eob = bytes),
    ),
    row(
        "maxconnections",
        Place::SOCKET,
        "NUMBER",
        Fallback::Value("1000"),
        "the most peers of a listening connection at a time",
        |d, v| v.number(1..=65_535).map(|number| d.maxconnections = number),
    ),
    row(
        "timeout",
        Place::SOCKET,
        "SECONDS",
        Fallback::Value("60"),
        "how long a peer may owe the rest of a frame, an answer or a connection",
        |d, v| v.seconds(0.1..=86_400.0).map(|time| d.timeout = time),
    ),
    row(
        "keepalive",
        Place::SOCKET,
        "SECONDS",
        Fallback::Value("60"),
        "after so much silence the system asks whether the peer is still there; 0 never",
        |d, v| v.seconds(0.0..=32_767.0).map(|time| d.keepalive = time),
    ),
    row(
        "allow",
        Place::SOCKET,
        "PEER, ...",
        Fallback::Words("everybody"),
        "who may connect to a listening connection: addresses, blocks such as 10.1.0.0/16, names of hosts",
        |d, v| v.peers().map(|peers| d.allow = peers),
    ),
    row(
        "tls",
        Place::SOCKET,
        "True | False",
        Fallback::Value("False"),
        "speak TLS with the peers, versions 1.2 and 1.3",
        |d, v| v.boolean().map(|on| d.tls = on),
    ),
    row(
        "tlscert",
        Place::SOCKET,
        "FILE",
        Fallback::Words("none"),
        "the certificate that is shown to peers, and those that signed it, as PEM",
        |d, v| put(&mut d.tlscert, v.path()),
    ),
    row(
        "tlskey",
        Place::SOCKET,
        "FILE",
        Fallback::Words("the file of tlscert"),
        "the private key of tlscert, as PEM",
        |d, v| put(&mut d.tlskey, v.path()),
    ),
    row(
        "tlsca",
        Place::SOCKET,
        "FILE",
        Fallback::Words("/etc/ssl/certs/ca-certificates.crt, to connect"),
        "whose certificates are trusted, as PEM",
        |d, v| put(&mut d.tlsca, v.path()),
    ),
    row(
        "tlsverify",
        Place::SOCKET,
        "True | False",
        Fallback::Words("True to connect, False to listen"),
        "ask peers for a certificate that tlsca vouches for",
        |d, v| put(&mut d.tlsverify, v.boolean()),
    ),
    row(
        "tlsname",
        Place::SOCKET,
        "HOST",
        Fallback::Words("ipaddr"),
        "the name that the certificate of the peer we connect to must have",
        |d, v| put(&mut d.tlsname, v.host()),
    ),
    row("onae", Place::SOCKET_OUT, REFUSAL, Fallback::Value("dead"), "what follows from AE", |d, v| {
        put(&mut d.onae, v.one_of(&ON_REFUSAL))
    }),
    row("onar", Place::SOCKET_OUT, REFUSAL, Fallback::Value("dead"), "what follows from AR", |d, v| {
        put(&mut d.onar, v.one_of(&ON_REFUSAL))
    }),
    row(
        "oncommiterror",
        Place::SOCKET_OUT,
        REFUSAL,
        Fallback::Value("dead"),
        "what follows from CE",
        |d, v| put(&mut d.oncommiterror, v.one_of(&ON_REFUSAL)),
    ),
    row(
        "oncommitreject",
        Place::SOCKET_OUT,
        REFUSAL,
        Fallback::Value("dead"),
        "what follows from CR",
        |d, v| put(&mut d.oncommitreject, v.one_of(&ON_REFUSAL)),
    ),
    row(
        "onnak",
        Place::SOCKET_OUT,
        REFUSAL,
        Fallback::Value("dead"),
        "what follows from a negative commit block",
        |d, v| put(&mut d.onnak, v.one_of(&ON_REFUSAL)),
    ),
    row(
        "retries",
        Place::SOCKET_OUT,
        "NUMBER",
        Fallback::Value("3"),
        "the attempts before a message that is refused becomes a dead letter",
        |d, v| v.number(1..=1000).map(|number| d.retries = number),
    ),
    row(
        "breaker",
        Place::SOCKET_OUT,
        "NUMBER",
        Fallback::Value("3"),
        "after so many dead letters in a row the queue is held; 0 never",
        |d, v| v.number(0..=1000).map(|number| d.breaker = number),
    ),
    row(
        "matchack",
        Place::SOCKET_OUT,
        "strict | present | off",
        Fallback::Value("present"),
        "whether MSA-2 must be the MSH-10 that was sent",
        |d, v| {
            let words =
                [("strict", MatchAck::Strict), ("present", MatchAck::Present), ("off", MatchAck::Off)];
            put(&mut d.matchack, v.one_of(&words))
        },
    ),
    row(
        "maxpause",
        Place::SOCKET_OUT,
        "SECONDS",
        Fallback::Value("30"),
        "the longest pause between two attempts; they grow from 1 s",
        |d, v| v.seconds(0.01..=3600.0).map(|time| d.maxpause = time),
    ),
    row(
        "downtime",
        Place::SOCKET_OUT,
        "SECONDS",
        Fallback::Value("300"),
        "alert when messages wait and the receiver was away for so long; 0 never",
        |d, v| v.seconds(0.0..=31_536_000.0).map(|time| d.downtime = time),
    ),
    row(
        "messagedir",
        Place::FILE,
        "DIRECTORY",
        Fallback::Required,
        "where files are read or written",
        |d, v| put(&mut d.messagedir, v.path()),
    ),
    row(
        "newline",
        Place::FILE,
        "True | False",
        Fallback::Value("False"),
        "a line feed stands behind each message in its file",
        |d, v| v.boolean().map(|on| d.newline = on),
    ),
    row(
        "filemask",
        Place::FILE_IN,
        "PATTERN",
        Fallback::Value("*"),
        "which files are read: * ? [...] as in a shell, case counts",
        |d, v| put(&mut d.filemask, mask(v)),
    ),
    row(
        "cycletime",
        Place::FILE_IN,
        "SECONDS",
        Fallback::Value("120"),
        "the time between two looks into the directory",
        |d, v| v.seconds(0.0..=86_400.0).map(|time| d.cycletime = time.max(SHORTEST_CYCLE)),
    ),
    row(
        "maxfiles",
        Place::FILE_IN,
        "NUMBER",
        Fallback::Value("50"),
        "the most files of one look, 1 to 1000",
        |d, v| v.number(1..=1000).map(|number| d.maxfiles = number),
    ),
    row(
        "settle",
        Place::FILE_IN,
        "SECONDS",
        Fallback::Value("1"),
        "how long a file must be unchanged to count as complete",
        |d, v| v.seconds(0.0..=3600.0).map(|time| d.settle = time),
    ),
    row(
        "errordir",
        Place::FILE_IN,
        "DIRECTORY",
        Fallback::Words("error in messagedir, made when needed"),
        "where files go that hold no message",
        |d, v| put(&mut d.errordir, v.path()),
    ),
    row(
        "hl7prefix",
        Place::FILE_OUT,
        "True | False",
        Fallback::Value("False"),
        "names begin with MSH-3 to MSH-6 and the type; needs usehl7",
        |d, v| v.boolean().map(|on| d.hl7prefix = on),
    ),
    row("prefix", Place::FILE_OUT, "TEXT", Fallback::Value("\"\""), "what names begin with", |d, v| {
        v.file_name_part().map(|text| d.prefix = text)
    }),
    row(
        "suffix",
        Place::FILE_OUT,
        "TEXT",
        Fallback::Value(".dat"),
        "what names end in, with its dot",
        |d, v| v.file_name_part().map(|text| d.suffix = text),
    ),
    row(
        "filemode",
        Place::FILE_OUT,
        "MODE",
        Fallback::Words("0666 less the umask"),
        "the mode of the files, in octal digits",
        |d, v| put(&mut d.filemode, v.mode()),
    ),
    lines(
        "debug",
        Place::CONNECTION,
        "DICTIONARY",
        Fallback::Value("{}"),
        "what the connection does wrong on purpose",
        |d, v| debug::read(v).map(|(debug, unknown)| (d.debug, d.debug_unknown) = (debug, unknown)),
    ),
];

const LEVELS: [(&str, LogLevel); 6] = [
    ("critical", LogLevel::Critical),
    ("error", LogLevel::Error),
    ("warning", LogLevel::Warning),
    ("prod", LogLevel::Prod),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

/// The value of `onae` and its like.
const REFUSAL: &str = "retry | dead | stop";
const ON_REFUSAL: [(&str, OnRefusal); 3] =
    [("retry", OnRefusal::Retry), ("dead", OnRefusal::Dead), ("stop", OnRefusal::Stop)];

/// A `cycletime` of 0 is taken from old files, and counts as this.
const SHORTEST_CYCLE: Duration = Duration::from_millis(100);

const fn row(
    name: &'static str,
    place: Place,
    value: &'static str,
    fallback: Fallback,
    doc: &'static str,
    set: Set,
) -> OptionRow {
    OptionRow { name, place, value, fallback, doc, lines: false, set }
}

const fn lines(
    name: &'static str,
    place: Place,
    value: &'static str,
    fallback: Fallback,
    doc: &'static str,
    set: Set,
) -> OptionRow {
    OptionRow { name, place, value, fallback, doc, lines: true, set }
}

fn put<T>(field: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    value.map(|value| *field = Some(value))
}

fn mask(value: Value<'_>) -> Result<Mask, String> {
    let bytes = value.unquoted()?;
    if bytes.is_empty() || bytes.contains(&b'/') || bytes.contains(&0) {
        return Err("must be a pattern for names of files, without /".into());
    }
    Ok(Mask::new(bytes))
}
