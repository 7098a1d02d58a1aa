//! What seats of a licence come to when their number changes, as Partner Center bills it.

pub use domain::{ChargeCycle, SeatCharge, SeatPrice, SeatRounding, change_seats, convert_seats};
