//! Settings that are one of a few words.

use protogen_core::llp::{hllp, x328};
use protogen_sys::tty::{Flow, Parity};

/// A value with a name.
pub(crate) trait Choice {
    /// The names.
    fn names(&self) -> &'static [&'static str];
    /// Takes the value of this name, if there is one.
    fn choose(&mut self, name: &str) -> bool;
    /// The name of the value.
    fn chosen(&self) -> &'static str;
}

macro_rules! choices {
    ($($kind:ty { $($name:literal = $value:path,)+ })+) => {
        $(impl Choice for $kind {
            fn names(&self) -> &'static [&'static str] {
                &[$($name),+]
            }

            fn choose(&mut self, name: &str) -> bool {
                match name {
                    $($name => *self = $value,)+
                    _ => return false,
                }
                true
            }

            fn chosen(&self) -> &'static str {
                match self {
                    $($value => $name,)+
                }
            }
        })+
    };
}

choices! {
    Parity { "none" = Parity::None, "odd" = Parity::Odd, "even" = Parity::Even, }
    Flow { "none" = Flow::None, "software" = Flow::Software, "hardware" = Flow::Hardware, }
    hllp::Bcc {
        "xor" = hllp::Bcc::XorData,
        "xor-count" = hllp::Bcc::XorDataAndCount,
        "sum" = hllp::Bcc::SumData,
        "none" = hllp::Bcc::None,
    }
    hllp::OnTimeout { "fail" = hllp::OnTimeout::Fail, "resend" = hllp::OnTimeout::Resend, }
    hllp::OnBadReply {
        "nak" = hllp::OnBadReply::Nak,
        "resend" = hllp::OnBadReply::Resend,
        "fail" = hllp::OnBadReply::Fail,
    }
    x328::Numbering { "block-length" = x328::Numbering::BlockAndLength, "none" = x328::Numbering::None, }
    x328::Ack {
        "numbered" = x328::Ack::Numbered,
        "alternating" = x328::Ack::Alternating,
        "plain" = x328::Ack::Plain,
    }
    x328::Bcc { "hex-xor" = x328::Bcc::HexXor, "raw-lrc" = x328::Bcc::RawLrc, "none" = x328::Bcc::None, }
    x328::Term { "cr" = x328::Term::Cr, "crlf" = x328::Term::CrLf, "none" = x328::Term::None, }
    x328::TimeoutAction { "enq" = x328::TimeoutAction::Enq, "resend" = x328::TimeoutAction::Resend, }
    x328::Priority { "high" = x328::Priority::High, "low" = x328::Priority::Low, }
}
