//! skyhandel
fn main() {}
