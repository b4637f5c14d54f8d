//! Get and list.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::{
    call::Call,
    failure::Failure,
    objects::Objects,
    stored::{Form, Key},
};

pub(super) fn get(objects: &Objects, call: &Call) -> Result<String, Failure> {
    let object = objects
        .get(call.kind, &key(call))
        .ok_or_else(|| Failure::not_found(call))?;
    Ok(object.written(&Form::asked_by(call)))
}

/// Later pages show objects as they are now, under the version of the first page: a client that goes on to
/// watch from there sees every change that fell between the pages.
pub(super) fn list(objects: &Objects, call: &Call) -> Result<String, Failure> {
    let limit = match call.query.get("limit").map(|limit| limit.parse::<usize>()) {
        None | Some(Ok(0)) => None,
        Some(Ok(limit)) => Some(limit),
        Some(Err(_)) => return Err(Failure::bad_request("limit is not a number")),
    };
    let resumed = match call.query.get("continue").filter(|token| !token.is_empty()) {
        Some(token) => {
            Some(decode(token).ok_or_else(|| Failure::bad_request("continue key is not valid"))?)
        }
        None => None,
    };
    let (resumed, after) = resumed.unzip();
    if let Some(version) = resumed {
        // 410 when the history that would close the gap is gone.
        objects.reaches_back_to(call.kind, version)?;
    }
    refuse_selectors(call)?;
    let page = objects.page(call.kind, call.namespace.as_deref(), after.as_ref(), limit);
    let version = resumed.unwrap_or(page.version);
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if page.more
        && let Some(last) = page.objects.last()
    {
        metadata["continue"] = encode(version, &last.key).into();
    }
    let form = Form::asked_by(call);
    let (api_version, kind) = form.types();
    let mut out = format!(
        "{{\"apiVersion\":\"{api_version}\",\"kind\":\"{kind}List\",\"metadata\":{metadata},\"items\":["
    );
    for (position, object) in page.objects.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        object.write(&form, &mut out);
    }
    out.push_str("]}");
    Ok(out)
}

pub(super) fn key(call: &Call) -> Key {
    Key::new(
        call.namespace.as_deref().unwrap_or_default(),
        call.name.as_deref().unwrap_or_default(),
    )
}

/// # Errors
/// 400 for a selector, which the stand-in does not know: better than a list that was not narrowed.
pub(super) fn refuse_selectors(call: &Call) -> Result<(), Failure> {
    for selector in ["labelSelector", "fieldSelector"] {
        if call
            .query
            .get(selector)
            .is_some_and(|value| !value.is_empty())
        {
            let message = format!("the stand-in knows no {selector}");
            return Err(Failure::bad_request(message));
        }
    }
    Ok(())
}

/// A `continue` token: the version of the first page, and the last object that was told.
fn encode(version: u64, last: &Key) -> String {
    let Key { namespace, name } = last;
    URL_SAFE_NO_PAD.encode(format!("{version}/{namespace}/{name}"))
}

fn decode(token: &str) -> Option<(u64, Key)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(3, '/');
    Some((
        parts.next()?.parse().ok()?,
        Key::new(parts.next()?, parts.next()?),
    ))
}
