//! The `idb_direct` program; everything is in its library.
fn main() -> std::process::ExitCode {
    protogen_idb_direct::main()
}
