//! How usage is partitioned: by the hash of its customer.
//!
//! Tiers and included quantities accumulate over a subscription, and a subscription belongs to one
//! customer, so whatever accumulates together lies in one partition, and what one customer is
//! billed lies together. The hash spreads customers evenly. Partitions are ranges of it, half the
//! range each time they are halved, so segments of any age and size line up.

use sha2::{Digest, Sha256};

/// Bits of a [`PartitionHash`]; one less than 64, so that databases can keep it as an integer.
const BITS: u32 = 63;

/// Where a customer's usage lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionHash(pub u64);

impl PartitionHash {
    /// The hash of a customer's id as text.
    pub fn of(customer: &str) -> Self {
        let digest = Sha256::digest(customer.as_bytes());
        let first: [u8; 8] = std::array::from_fn(|at| digest[at]);
        Self(u64::from_be_bytes(first) >> (u64::BITS - BITS))
    }
}

/// A power of two of equal ranges of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitioning {
    bits: u32,
}

/// One range of the hash: from the first value to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The first hash that belongs to it.
    pub first: PartitionHash,
    /// The last hash that belongs to it.
    pub last: PartitionHash,
}

impl Partitioning {
    /// So many partitions that each has about `rows_each` of `rows` rows; a function of the rows
    /// alone, so that it does not matter in which files they came.
    pub fn of(rows: u64, rows_each: u64) -> Self {
        let wanted = rows.div_ceil(rows_each.max(1)).max(1);
        Self { bits: wanted.next_power_of_two().trailing_zeros() }
    }

    /// As many partitions as there were before: a power of two.
    pub fn of_count(partitions: usize) -> Self {
        Self { bits: partitions.max(1).next_power_of_two().trailing_zeros() }
    }

    /// How many partitions there are.
    pub const fn len(self) -> usize {
        1 << self.bits
    }

    /// Always false: there is at least one partition.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The partition in which a hash lies.
    pub const fn index_of(self, hash: PartitionHash) -> usize {
        (hash.0 >> (BITS - self.bits)) as usize
    }

    /// The partition of an index.
    pub const fn partition(self, index: usize) -> Partition {
        let shift = BITS - self.bits;
        let first = (index as u64) << shift;
        Partition { first: PartitionHash(first), last: PartitionHash(first + ((1 << shift) - 1)) }
    }
}

impl Partition {
    /// Whether it has a hash in common with a range, both ends included.
    pub fn overlaps(self, first: PartitionHash, last: PartitionHash) -> bool {
        self.first <= last && first <= self.last
    }

    /// Whether a range lies within it, both ends included.
    pub fn encloses(self, first: PartitionHash, last: PartitionHash) -> bool {
        self.first <= first && last <= self.last
    }

    /// Whether a hash lies in it.
    pub fn contains(self, hash: PartitionHash) -> bool {
        self.first <= hash && hash <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_cover_every_hash_once() {
        for rows in [0, 1, 99, 100, 101, 1_000, 12_345] {
            let partitioning = Partitioning::of(rows, 100);
            let mut next = 0;
            for index in 0..partitioning.len() {
                let Partition { first, last } = partitioning.partition(index);
                assert_eq!(first.0, next);
                for hash in [first, last] {
                    assert_eq!(partitioning.index_of(hash), index);
                }
                next = last.0 + 1;
            }
            assert_eq!(next, 1 << BITS);
        }
    }

    #[test]
    fn customers_spread_evenly() {
        let partitioning = Partitioning::of(8, 1);
        let mut counts = [0; 8];
        for customer in 0..8_000 {
            counts[partitioning.index_of(PartitionHash::of(&customer.to_string()))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
