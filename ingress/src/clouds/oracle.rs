//! Oracle Cloud Infrastructure's realms.

/// The domains of the realms (`oci` of its Python SDK, `regions_definitions.py`). Realms of Oracle's partners
/// are numbered, and so are their domains.
const REALMS: [&str; 5] = [
    "oraclecloud.com",
    "oraclegovcloud.com",
    "oraclegovcloud.uk",
    "oraclecloud.eu",
    "oraclecloud.ic.gov",
];

/// Whether Oracle Notifications confirms subscriptions at this host:
/// `[cell<n>.]notification.<region>.[oci.]<realm>`.
/// <https://docs.oracle.com/en-us/iaas/Content/Notification/Tasks/confirm-subscription.htm>
///
/// Before `notification` only a cell is allowed: other names below a region may belong to customers.
pub(crate) fn is_notifications(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let rest = match labels[..] {
        [cell, "notification", ref rest @ ..] if is_cell(cell) => rest,
        ["notification", ref rest @ ..] => rest,
        _ => return false,
    };
    let [region, realm @ ..] = rest else {
        return false;
    };
    let realm = realm.strip_prefix(&["oci"]).unwrap_or(realm);
    is_label(region) && is_realm(&realm.join("."))
}

fn is_cell(label: &str) -> bool {
    label.strip_prefix("cell").is_some_and(is_number)
}

fn is_realm(domain: &str) -> bool {
    let numbered = || {
        let number = domain.strip_prefix("oraclecloud")?.strip_suffix(".com")?;
        Some(is_number(number))
    };
    REALMS.contains(&domain) || numbered().unwrap_or(false)
}

fn is_number(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_confirmed_at_notifications_of_any_realm() {
        for right in [
            "cell1.notification.us-phoenix-1.oci.oraclecloud.com",
            "cell0.notification.example.oraclecloud.com",
            "notification.eu-frankfurt-1.oraclecloud.com",
            "cell1.notification.us-gov-ashburn-1.oraclegovcloud.com",
            "cell2.notification.uk-gov-london-1.oraclegovcloud.uk",
            "cell1.notification.eu-frankfurt-2.oci.oraclecloud.eu",
            "cell1.notification.ap-chiyoda-1.oraclecloud8.com",
        ] {
            assert!(is_notifications(right), "{right}");
        }
        for wrong in [
            "oraclecloud.com",
            "notification.oraclecloud.com",
            "evil.notification.us-phoenix-1.oraclecloud.com",
            "cell1.objectstorage.us-phoenix-1.oraclecloud.com",
            "cell1.notification.us-phoenix-1.evil.example",
            "cell1.notification.us-phoenix-1.oraclecloud.com.evil.example",
            "cell1.notification.us-phoenix-1.evil.oraclecloud.com",
            "cell1.notification.us-phoenix-1.xoraclecloud.com",
            "cell1.notification.us-phoenix-1.oraclecloudx.com",
            "cell1.notification..oraclecloud.com",
            "cell1.notification.us-phoenix-1.oraclecloud.com.",
            "cellx.notification.us-phoenix-1.oraclecloud.com",
            "127.0.0.1",
            "",
        ] {
            assert!(!is_notifications(wrong), "{wrong}");
        }
    }
}
