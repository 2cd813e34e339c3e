//! `kith://` addresses: each means a page of the window. Whoever made the address may be anybody, so it only ever leads somewhere: an
//! invite is shown on the page of networks, where it is the user who joins.

/// The pages that an address may lead to, and whether something may follow the page's name.
const PAGES: [(&str, bool); 7] = [
    ("chat", true),
    ("models", false),
    ("devices", false),
    ("network", false),
    ("activity", false),
    ("api", false),
    ("settings", true),
];

/// The longest part of an address that is followed, in bytes.
const LONGEST: usize = 64;
/// The longest code of an invite that is handed on, in bytes: none is longer.
const LONGEST_INVITE: usize = 8192;

/// The path of the page that an address means, `/app/models`; the first page for what is not known.
pub fn page(address: &str) -> String {
    known(address).unwrap_or_else(|| "/app".to_owned())
}

fn known(address: &str) -> Option<String> {
    let rest = address.strip_prefix("kith://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let mut parts = rest.split('/').filter(|part| !part.is_empty());
    let first = parts.next()?;
    if first == "join" {
        return Some(joining(parts.next(), parts.next().is_none()));
    }
    let (page, deeper) = PAGES.iter().find(|(page, _)| *page == first)?;
    match (parts.next(), parts.next()) {
        (Some(part), None) if *deeper && plain(part, LONGEST) => Some(format!("/app/{page}/{part}")),
        _ => Some(format!("/app/{page}")),
    }
}

/// The page of networks, with an invite's code behind the `#`: there it is in no request and in no log.
fn joining(code: Option<&str>, is_last: bool) -> String {
    match code {
        Some(code) if is_last && plain(code, LONGEST_INVITE) => format!("/app/network#join={code}"),
        _ => "/app/network".to_owned(),
    }
}

fn plain(part: &str, longest: usize) -> bool {
    part.len() <= longest && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
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
    fn an_invite_is_handed_to_the_page_of_networks_and_never_used() {
        assert_eq!(page("kith://join/AbC_-9"), "/app/network#join=AbC_-9");
        assert_eq!(page("kith://join/AbC?x=1#ticket=2"), "/app/network#join=AbC");
        assert_eq!(page(&format!("kith://join/{}", "a".repeat(8192))), format!("/app/network#join={}", "a".repeat(8192)));
        for odd in ["kith://join", "kith://join/", "kith://join/a/b", "kith://join/a%26ticket=b", "kith://join/a&ticket=b"] {
            assert_eq!(page(odd), "/app/network", "{odd}");
        }
        assert_eq!(page(&format!("kith://join/{}", "a".repeat(8193))), "/app/network");
        assert_eq!(page("kith://network"), "/app/network");
    }

    #[test]
    fn an_address_leads_nowhere_else() {
        for address in ["kith://", "kith://joined/x", "http://a/b", "kith://../etc", "", "kith://%2e%2e"] {
            assert_eq!(page(address), "/app", "{address}");
        }
        assert_eq!(page("kith://models/x"), "/app/models");
        assert_eq!(page("kith://chat/a%2fb"), "/app/chat");
        assert_eq!(page("kith://chat/a/b"), "/app/chat");
        assert_eq!(page("kith://chat/x?token=1#ticket=2"), "/app/chat/x");
        assert_eq!(page(&format!("kith://chat/{}", "a".repeat(65))), "/app/chat");
    }
}
