//! Sizes for people, spelled and rounded as docker does.

/// Decimal units, three digits: `116MB`, `1.2GB`, `0B`.
pub fn decimal(bytes: u64) -> String {
    scaled(bytes, 1000.0, 3, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Binary units, four digits: `23.55GiB`.
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, 4, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

fn scaled(bytes: u64, base: f64, digits: usize, units: &[&str]) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    // What rounds up to the base belongs to the next unit: `1MB`, not `1000kB`.
    while unit + 1 < units.len() && (size >= base || (base == 1000.0 && integer_digits(size, digits) > digits)) {
        size /= base;
        unit += 1;
    }
    format!("{}{}", significant(size, digits), units[unit])
}

/// How many digits stand before the point once `value` is rounded to `digits` digits.
fn integer_digits(value: f64, digits: usize) -> usize {
    exponent(value, digits).map_or(1, |exponent| usize::try_from(exponent + 1).unwrap_or(1))
}

fn exponent(value: f64, digits: usize) -> Option<i32> {
    format!("{value:.*e}", digits.saturating_sub(1)).rsplit_once('e').and_then(|(_, exponent)| exponent.parse().ok())
}

/// C's `%.<digits>g` of a number that needs no exponent: trailing zeros are left out.
fn significant(value: f64, digits: usize) -> String {
    let decimals = digits.saturating_sub(integer_digits(value, digits));
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_sizes_are_dockers() {
        for (bytes, shown) in [
            (0, "0B"),
            (1, "1B"),
            (999, "999B"),
            (1000, "1kB"),
            (1234, "1.23kB"),
            (13_256, "13.3kB"),
            (116_487_213, "116MB"),
            (1_204_000_000, "1.2GB"),
            (999_499, "999kB"),
            (999_600, "1MB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(decimal(bytes), shown);
        }
    }

    #[test]
    fn binary_sizes_are_dockers() {
        for (bytes, shown) in [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (25_286_131_712, "23.55GiB")] {
            assert_eq!(binary(bytes), shown);
        }
    }
}
