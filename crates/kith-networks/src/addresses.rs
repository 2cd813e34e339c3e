//! Addresses as texts: multiaddresses are looked at closely only by the transport, but kept and sent within bounds.

use crate::NetworkError;

/// Addresses kept or sent at once.
pub const MAX_ADDRESSES: usize = 16;
/// The longest address, in bytes: two relayed ones with certificates' digests fit.
const MAX_ADDRESS: usize = 512;

/// Whether the text may be a multiaddress: `/name/value…`, of printable ASCII.
pub(crate) fn plausible(address: &str) -> bool {
    address.len() <= MAX_ADDRESS
        && address.len() > 1
        && address.starts_with('/')
        && !address.contains("//")
        && address.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Checks a list of addresses, trims it and takes out repetitions.
///
/// # Errors
/// [`NetworkError::Invalid`] for more than [`MAX_ADDRESSES`], or something that is none.
pub fn addresses<S: AsRef<str>>(given: &[S]) -> Result<Vec<String>, NetworkError> {
    let mut taken: Vec<String> = Vec::new();
    for address in given.iter().map(|address| address.as_ref().trim()) {
        if !plausible(address) {
            let shown: String = address.chars().take(64).collect();
            return Err(NetworkError::invalid(
                "bootstrap",
                format!("holds `{shown}`, which is no address like /ip4/192.0.2.1/tcp/4001"),
            ));
        }
        if !taken.iter().any(|known| known == address) {
            taken.push(address.to_owned());
        }
    }
    if taken.len() > MAX_ADDRESSES {
        return Err(NetworkError::invalid(
            "bootstrap",
            format!("has {} addresses; at most {MAX_ADDRESSES} are kept", taken.len()),
        ));
    }
    Ok(taken)
}

/// The addresses of others, of which what is no address is left out and what is too many is cut off.
pub(crate) fn lenient(given: &[String]) -> Vec<String> {
    given.iter().filter(|address| plausible(address)).take(MAX_ADDRESSES).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_trimmed_and_named_once() {
        let given = [" /ip4/192.0.2.1/tcp/4001 ", "/ip4/192.0.2.1/tcp/4001", "/dns4/a.example/tcp/1"];
        assert_eq!(addresses(&given).unwrap(), ["/ip4/192.0.2.1/tcp/4001", "/dns4/a.example/tcp/1"]);
    }

    #[test]
    fn what_is_no_address_and_one_too_many_are_refused() {
        let long = format!("/{}", "x".repeat(MAX_ADDRESS));
        for wrong in ["", "/", "192.0.2.1:4001", "/ip4//tcp/1", "/ip4/1 2", "/ip4/\u{7}", &long] {
            assert!(addresses(&[wrong]).is_err(), "{wrong:?}");
        }
        let many: Vec<String> = (0..=MAX_ADDRESSES).map(|port| format!("/ip4/192.0.2.1/tcp/{port}")).collect();
        assert!(addresses(&many[1..]).is_ok());
        assert!(addresses(&many).is_err());
        assert_eq!(lenient(&many).len(), MAX_ADDRESSES);
    }
}
