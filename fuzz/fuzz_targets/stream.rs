#![no_main]

//! What a consumer reads from the stream, in which others may write too.

use eso_relay::event::{Event, decode_batch, encode_batch};
use eso_relay_fuzz::fuzz_target;

fuzz_target!(|batch: &[u8]| {
    let Ok(events) = decode_batch(batch) else {
        return;
    };
    let events: Vec<Event> = events.into_iter().flatten().collect();
    if !events.is_empty() {
        let again = decode_batch(&encode_batch(&events)).expect("a batch");
        let again: Result<Vec<_>, _> = again.into_iter().collect();
        assert_eq!(again, Ok(events));
    }
});
