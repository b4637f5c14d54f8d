//! Microsoft's clouds: the public one, those of governments and China's, and the sovereign ones that partners run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The origins of Event Grid in the public cloud, the US government's and China's.
pub(crate) const EVENT_GRIDS: [&str; 3] = [
    "eventgrid.azure.net",
    "eventgrid.azure.us",
    "eventgrid.azure.cn",
];

/// The cloud of a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    #[default]
    Public,
    /// With GCC High and the military's; GCC is in the public cloud.
    UsGovernment,
    /// Run by 21Vianet.
    China,
    /// Bleu.
    France,
    /// Delos.
    Germany,
    /// For its government.
    Singapore,
}

impl Cloud {
    /// The host of Entra ID, of v2.0 issuers and of all keys
    /// (<https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>; the last three as
    /// MSAL knows them).
    pub(crate) fn login(self) -> &'static str {
        match self {
            Self::Public => "login.microsoftonline.com",
            Self::UsGovernment => "login.microsoftonline.us",
            Self::China => "login.partner.microsoftonline.cn",
            Self::France => "login.sovcloud-identity.fr",
            Self::Germany => "login.sovcloud-identity.de",
            Self::Singapore => "login.sovcloud-identity.sg",
        }
    }

    /// The host of v1.0 issuers; `None` where none is documented.
    pub(crate) fn sts(self) -> Option<&'static str> {
        match self {
            Self::Public | Self::UsGovernment => Some("sts.windows.net"),
            Self::China => Some("sts.chinacloudapi.cn"),
            Self::France | Self::Germany | Self::Singapore => None,
        }
    }
}
