#![no_main]

eso_relay_fuzz::formats! {
    { "format": "gitlab", "mapping": { "keys": "/object_attributes/id" } }, "x-gitlab-event: Pipeline Hook\nx-gitlab-event-uuid: 13792a34";
}
