//! The trace of a sender, in its events.

use eso_relay::tracestate::TraceState;

use super::*;

#[tokio::test]
async fn the_senders_trace_goes_on_in_the_event() {
    let tested = ingress(None);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for header in [trace, "nonsense"] {
        let mut request = hook(GOOD);
        request
            .headers_mut()
            .insert("traceparent", header.parse().unwrap());
        send(&tested, request).await;
    }
    let events = tested.recorder.events.lock().unwrap();
    assert_eq!(events[0].traceparent, Some(trace.parse().unwrap()));
    assert!(events[1].traceparent.is_some() && events[1].traceparent != events[0].traceparent);
}

#[tokio::test]
async fn the_senders_trace_state_goes_with_its_trace_alone() {
    let tested = ingress(None);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let fields = ["rojo=1", "congo=2 "];
    let cases: [(Option<&str>, &[&str], Option<&str>); 6] = [
        (Some(trace), &fields, Some("rojo=1,congo=2")),
        (Some(trace), &[], None),
        (Some(trace), &["rojo"], None),
        (Some(trace), &["rojo=1", "rojo=2"], None),
        (Some("nonsense"), &fields, None),
        (None, &fields, None),
    ];
    for (trace, fields, _) in cases {
        let mut request = hook(GOOD);
        let headers = request.headers_mut();
        if let Some(trace) = trace {
            headers.insert("traceparent", trace.parse().unwrap());
        }
        for field in fields {
            headers.append("tracestate", field.parse().unwrap());
        }
        assert_eq!(send(&tested, request).await.0, StatusCode::ACCEPTED);
    }
    let events = tested.recorder.events.lock().unwrap();
    assert_eq!(events.len(), cases.len());
    for (event, case) in events.iter().zip(cases) {
        let state = event.tracestate.as_ref().map(TraceState::as_str);
        assert_eq!(state, case.2, "{case:?}");
    }
}
