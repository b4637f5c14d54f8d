//! Get and list.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::{
    call::Call,
    failure::Failure,
    objects::{Objects, Selection},
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
        Some(token) => Some(
            Continue::decode(token)
                .ok_or_else(|| Failure::bad_request("continue key is not valid"))?,
        ),
        None => None,
    };
    if let Some(resumed) = &resumed {
        // 410 when the history that would close the gap is gone.
        objects.reaches_back_to(call.kind, resumed.version)?;
    }
    let selection = selection(call)?;
    let page = objects.page(
        call.kind,
        &selection,
        resumed.as_ref().map(|resumed| &resumed.after),
        limit,
    );
    let (version, before) = resumed.map_or((page.version, 0), |resumed| {
        (resumed.version, resumed.before)
    });
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if page.more
        && let Some(last) = page.objects.last()
    {
        let told = before + page.objects.len();
        metadata["continue"] = Continue::encode(version, told, &last.key).into();
        // An estimate, as in a real server; and with a selector there is none.
        if selection.is_all() {
            metadata["remainingItemCount"] = page.all.saturating_sub(told).max(1).into();
        }
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
/// 400 for a selector that the stand-in does not know: better than a list that was not narrowed.
pub(super) fn selection(call: &Call) -> Result<Selection, Failure> {
    let mut selection = Selection {
        namespace: call.namespace.clone(),
        name: None,
    };
    if call
        .query
        .get("labelSelector")
        .is_some_and(|selector| !selector.is_empty())
    {
        return Err(Failure::bad_request("the stand-in knows no labelSelector"));
    }
    let fields = call.query.get("fieldSelector").map_or("", String::as_str);
    for field in fields.split(',').filter(|field| !field.is_empty()) {
        match field.split_once('=') {
            Some(("metadata.name", name)) => selection.name = Some(name.to_owned()),
            Some(("metadata.namespace", name)) => selection.namespace = Some(name.to_owned()),
            _ => {
                return Err(Failure::bad_request(format!(
                    "the stand-in selects by metadata.name and metadata.namespace, not by {field}"
                )));
            }
        }
    }
    Ok(selection)
}

struct Continue {
    version: u64,
    /// How many objects the pages so far held.
    before: usize,
    after: Key,
}

impl Continue {
    fn encode(version: u64, before: usize, last: &Key) -> String {
        let Key { namespace, name } = last;
        URL_SAFE_NO_PAD.encode(format!("{version}/{before}/{namespace}/{name}"))
    }

    fn decode(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut parts = text.splitn(4, '/');
        Some(Self {
            version: parts.next()?.parse().ok()?,
            before: parts.next()?.parse().ok()?,
            after: Key::new(parts.next()?, parts.next()?),
        })
    }
}
