#![no_main]

eso_relay_fuzz::formats! {
    { "format": "azure-event-grid" }, "aeg-event-type: Notification";
    { "format": "azure-event-grid" }, "aeg-event-type: SubscriptionValidation";
    { "format": "azure-event-grid" }, "content-type: application/cloudevents+json";
}
