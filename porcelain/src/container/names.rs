//! Names of containers: the rule that given ones follow, and made-up ones in docker's manner.

use crate::{Error, Result};

const ADJECTIVES: &[&str] = &[
    "able", "amber", "ample", "apt", "bold", "brave", "brisk", "bright", "busy", "calm", "candid", "careful",
    "cheerful", "clear", "clever", "cosmic", "crisp", "curious", "daring", "deep", "deft", "eager", "early", "earnest",
    "even", "fair", "fast", "fine", "firm", "fond", "frank", "free", "fresh", "gentle", "glad", "golden", "grand",
    "happy", "hardy", "honest", "humble", "jolly", "jovial", "keen", "kind", "light", "lively", "lucid", "lucky",
    "mellow", "merry", "mild", "modest", "neat", "nimble", "noble", "patient", "plain", "polite", "proud", "quick",
    "quiet", "ready", "serene", "sharp", "silent", "silver", "sincere", "smooth", "sober", "solid", "sound", "spry",
    "steady", "stoic", "subtle", "sunny", "swift", "tender", "thorough", "tidy", "tranquil", "trusty", "upbeat",
    "vivid", "warm", "wise", "witty", "young", "zealous",
];

const SURNAMES: &[&str] = &[
    "abel",
    "agnesi",
    "ampere",
    "archimedes",
    "babbage",
    "banach",
    "bassi",
    "bell",
    "bohr",
    "boole",
    "bose",
    "brahe",
    "cannon",
    "cantor",
    "carson",
    "cauchy",
    "chandra",
    "church",
    "clarke",
    "colden",
    "copernicus",
    "curie",
    "darwin",
    "dirac",
    "driscoll",
    "easley",
    "edison",
    "einstein",
    "elion",
    "erdos",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fermi",
    "feynman",
    "franklin",
    "galileo",
    "galois",
    "gauss",
    "germain",
    "goedel",
    "goodall",
    "hamilton",
    "hawking",
    "hertz",
    "hilbert",
    "hopper",
    "hypatia",
    "jemison",
    "johnson",
    "joliot",
    "jones",
    "kalam",
    "keldysh",
    "kepler",
    "khayyam",
    "kirch",
    "knuth",
    "kovalevskaya",
    "lagrange",
    "lamarr",
    "laplace",
    "leavitt",
    "leibniz",
    "lovelace",
    "mayer",
    "mcclintock",
    "meitner",
    "mendel",
    "mirzakhani",
    "morse",
    "newton",
    "nobel",
    "noether",
    "pascal",
    "pasteur",
    "payne",
    "perlman",
    "planck",
    "poincare",
    "ptolemy",
    "raman",
    "ramanujan",
    "ride",
    "ritchie",
    "rosen",
    "rubin",
    "shannon",
    "sinoussi",
    "tesla",
    "torvalds",
    "turing",
    "volta",
    "wiles",
    "wilson",
    "wing",
    "wright",
    "wu",
    "yalow",
];

/// Checks a name against docker's rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, at most 255 bytes so that it can be a file's name.
pub fn check(name: &str) -> Result<()> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let good = name.len() >= 2 && name.len() <= 255 && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if good && name.chars().all(inside) {
        return Ok(());
    }
    Err(Error::invalid("container name", name, "only [a-zA-Z0-9][a-zA-Z0-9_.-]+ is allowed, 255 characters at most"))
}

/// A name made of a random number: adjective, underscore, surname; from the second attempt on with a digit at its end.
pub fn make_up(random: u64, attempt: u32) -> String {
    let pick = |words: &[&'static str], random: u64| words[(random % words.len() as u64) as usize];
    let name = format!("{}_{}", pick(ADJECTIVES, random >> 32), pick(SURNAMES, random & 0xffff_ffff));
    if attempt == 0 { name } else { format!("{name}{attempt}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dockers_rule() {
        for good in ["web", "a1", "A.b_c-d", "0x", &"a".repeat(255)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "a", ".a", "-a", "_a", "a/b", "a b", "ä1", "a\n", "../x", &"a".repeat(256)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn made_up_names_follow_the_rule_too() {
        for (adjective, surname) in ADJECTIVES.iter().zip(SURNAMES.iter().cycle()) {
            check(&format!("{adjective}_{surname}")).unwrap();
        }
        assert_eq!(make_up(0, 0), "able_abel");
        assert_eq!(make_up(1 << 32, 3), "amber_abel3");
    }
}
