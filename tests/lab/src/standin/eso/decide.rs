//! ESO's decision whether to refresh (`shouldRefresh` and `isSecretValid` in its
//! `externalsecret_controller.go`), but for the passing of time.

use kube::api::DynamicObject;

use super::synced_resource_version;

/// Whether ESO would sync this object now, if its interval has not elapsed.
pub(super) fn should_refresh(object: &DynamicObject) -> bool {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let synced = status["syncedResourceVersion"].as_str().unwrap_or_default();
    let never_synced = synced.is_empty() || status["refreshTime"].as_str().is_none();
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut reasons = conditions.filter_map(|condition| condition["reason"].as_str());
    // What ESO finds when it looks for the Secret.
    let is_gone = reasons.any(|reason| reason == "SecretDeleted" || reason == "SecretMissing");
    let changed = synced != synced_resource_version(&object.metadata);
    if object.metadata.deletion_timestamp.is_some() {
        return false;
    }
    if is_gone {
        return true;
    }
    match spec["refreshPolicy"].as_str() {
        Some("CreatedOnce") => never_synced,
        Some("OnChange") => never_synced || changed,
        // An interval of 0 is looked at before the change: such an object never refreshes again.
        _ if is_zero(spec["refreshInterval"].as_str()) && !synced.is_empty() => false,
        _ => never_synced || changed,
    }
}

/// Of a Go duration: `0`, `0s`, `0h0m0s`, or negative. Absent means an hour.
fn is_zero(interval: Option<&str>) -> bool {
    interval.is_some_and(|interval| {
        interval.starts_with('-') || !interval.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
    })
}
