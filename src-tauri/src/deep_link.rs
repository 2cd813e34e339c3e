//! `kith://` addresses: each means a page of the window. Whoever made the address may be anybody, so it only ever leads somewhere.

/// The pages that an address may lead to, and whether something may follow the page's name.
const PAGES: [(&str, bool); 6] =
    [("chat", true), ("models", false), ("devices", false), ("activity", false), ("api", false), ("settings", true)];

/// The longest part of an address that is followed, in bytes.
const LONGEST: usize = 64;

/// The path of the page that an address means, `/app/models`; the first page for what is not known.
pub fn page(address: &str) -> String {
    known(address).unwrap_or_else(|| "/app".to_owned())
}

fn known(address: &str) -> Option<String> {
    let rest = address.strip_prefix("kith://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let mut parts = rest.split('/').filter(|part| !part.is_empty());
    let first = parts.next()?;
    let (page, deeper) = PAGES.iter().find(|(page, _)| *page == first)?;
    let plain = |part: &str| {
        part.len() <= LONGEST && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    match (parts.next(), parts.next()) {
        (Some(part), None) if *deeper && plain(part) => Some(format!("/app/{page}/{part}")),
        _ => Some(format!("/app/{page}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_page_it_names() {
        assert_eq!(page("kith://models"), "/app/models");
        assert_eq!(page("kith://settings/updates/"), "/app/settings/updates");
        assert_eq!(page("kith://chat/0198_a-b"), "/app/chat/0198_a-b");
    }

    #[test]
    fn an_address_leads_nowhere_else() {
        for address in ["kith://", "kith://join/x", "http://a/b", "kith://../etc", "", "kith://%2e%2e"] {
            assert_eq!(page(address), "/app", "{address}");
        }
        assert_eq!(page("kith://models/x"), "/app/models");
        assert_eq!(page("kith://chat/a%2fb"), "/app/chat");
        assert_eq!(page("kith://chat/a/b"), "/app/chat");
        assert_eq!(page("kith://chat/x?token=1#ticket=2"), "/app/chat/x");
        assert_eq!(page(&format!("kith://chat/{}", "a".repeat(65))), "/app/chat");
    }
}
