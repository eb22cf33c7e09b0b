//! How the simulator answers: as the real CareVue, honestly, or badly on purpose.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// The longest that an answer is held back.
const MAX_SLOW: f64 = 3600.0;
/// The most looks at the census that a late patient takes.
const MAX_LATE: f64 = 1_000_000.0;

/// How messages are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Manner {
    /// As the real one: AA also where the census was left as it was.
    #[default]
    Real,
    /// AE where the census was left as it was.
    Honest,
    /// AE, nothing done.
    Ae,
    /// AR, nothing done.
    Ar,
    /// No answer, nothing done; the connection stays open.
    Hang,
    /// The connection is closed, nothing done.
    Close,
    /// All is done, then the connection is closed without an answer.
    Lose,
    /// All is done, the answer comes after so many milliseconds.
    Slow(u64),
    /// Who is admitted appears in the census at this look of the patient manager.
    Late(u32),
    /// Messages as the real one; the remote shell cannot reach the host.
    NoRsh,
}

impl Manner {
    /// The manner of this name.
    pub(crate) fn parse(name: &str, number: Option<f64>) -> Result<Manner> {
        let counted = |least: f64, most: f64, what: &str| match number {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            _ => bail!("{name} needs {what}, from {least} to {most}"),
        };
        let manner = match name {
            "slow" => {
                let time = Duration::from_secs_f64(counted(0.0, MAX_SLOW, "seconds")?);
                return Ok(Manner::Slow(u64::try_from(time.as_millis())?));
            }
            "late" => return Ok(Manner::Late(counted(1.0, MAX_LATE, "a number of looks")? as u32)),
            "real" => Manner::Real,
            "honest" => Manner::Honest,
            "ae" => Manner::Ae,
            "ar" => Manner::Ar,
            "hang" => Manner::Hang,
            "close" => Manner::Close,
            "lose" => Manner::Lose,
            "no-rsh" => Manner::NoRsh,
            _ => {
                bail!("{name}: must be real, honest, ae, ar, hang, close, lose, slow, late or no-rsh")
            }
        };
        match number {
            Some(number) => bail!("{name} takes no number, {number} was given"),
            None => Ok(manner),
        }
    }
}
