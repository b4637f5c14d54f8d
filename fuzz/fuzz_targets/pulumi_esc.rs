#![no_main]

eso_relay_fuzz::formats! {
    { "format": "pulumi-esc" }, "pulumi-webhook-kind: environment_revision\npulumi-webhook-id: 1";
    { "format": "pulumi-esc" }, "pulumi-webhook-kind: imported_environment_changed";
    { "format": "pulumi-esc" };
}
