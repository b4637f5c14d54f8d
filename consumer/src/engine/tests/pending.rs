//! How many targets wait for a patch.

use super::*;

fn mass(sequence: u64, names: &[(&str, usize)]) -> Delivery {
    let mut delivery = delivery(sequence, names);
    for refresh in &mut delivery.refreshes {
        refresh.urgency = Urgency::Mass("prod".parse().unwrap());
    }
    delivery
}

#[test]
fn targets_that_wait_for_a_patch_are_counted_by_lane() {
    let mut engine = engine();
    let pending = |exact, mass| Pending { exact, mass };
    assert_eq!(engine.pending(), pending(0, 0));
    take(&mut engine, mass(7, &[("a", 0), ("b", 0)]));
    assert_eq!(engine.pending(), pending(0, 2));
    // An urgent event for one of them, and for another.
    take(&mut engine, delivery(8, &[("b", 0), ("c", 0)]));
    assert_eq!(engine.pending(), pending(2, 1));
    // It fails, and is tried again.
    let failed = retry(Fault::Object, None);
    tell(&mut engine, START, patched("c", 8, 0, failed));
    assert_eq!(engine.pending(), pending(2, 1));
    tell(&mut engine, START, patched("a", 7, 0, Outcome::Done));
    assert_eq!(engine.pending(), pending(2, 0));
}

#[test]
fn a_target_that_only_settles_does_not_wait_for_a_patch() {
    let mut engine = engine();
    let mut delivery = delivery(7, &[("a", 0)]);
    delivery.refreshes[0].settle = Some(60 * SECOND);
    take(&mut engine, delivery);
    assert_eq!(engine.pending().exact, 1);
    tell(&mut engine, START, patched("a", 7, 0, Outcome::Done));
    assert_eq!(engine.pending(), Pending::default());
}
