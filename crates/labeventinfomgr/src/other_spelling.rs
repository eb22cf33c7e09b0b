//! `LabEventInfoMgr`, as the manual of 1996 spells it: the same program.
fn main() -> std::process::ExitCode {
    protogen_labeventinfomgr::main()
}
