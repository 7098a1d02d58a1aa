//! Parquet's hybrid of run-length and bit-packed integers, written from what is already known.
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>

/// How many bits the largest of `values` numbers from zero needs.
pub(super) fn width_of(values: usize) -> u8 {
    (usize::BITS - values.saturating_sub(1).leading_zeros()) as u8
}

/// Appends a run of one value.
pub(super) fn run(out: &mut Vec<u8>, value: u32, length: usize, width: u8) {
    if length > 0 {
        varint(out, (length as u64) << 1);
        out.extend_from_slice(&value.to_le_bytes()[..usize::from(width).div_ceil(8)]);
    }
}

/// Appends single values, bit-packed. Nothing may follow them: the last group is padded.
pub(super) fn packed(out: &mut Vec<u8>, values: &[u32], width: u8) {
    if values.is_empty() {
        return;
    }
    varint(out, ((values.len().div_ceil(8) as u64) << 1) | 1);
    out.reserve(values.len() * usize::from(width) / 8 + 16);
    let (mut bits, mut filled) = (0u64, 0u32);
    let padding = values.len().next_multiple_of(8) - values.len();
    for value in values.iter().copied().chain(std::iter::repeat_n(0, padding)) {
        bits |= u64::from(value) << filled;
        filled += u32::from(width);
        while filled >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            filled -= 8;
        }
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
