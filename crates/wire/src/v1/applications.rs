//! Programs that call the API: their duty and their secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageQuery};
use crate::operation::operation;

/// A program that calls the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Application {
    /// Its id: the `client_id` of the token endpoint.
    pub application_id: String,
    /// What it is called.
    pub name: String,
    /// What it may do: the name of a duty.
    pub duty: String,
    /// The key of the organisation in whose name it acts; none for an operator.
    pub organisation: Option<String>,
    /// When it was made.
    pub created_at: String,
}

/// A new application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApplication {
    /// What it is called: 1 to 200 characters.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// What it may do: `operator`, `admin-agent`, `sales-agent`, `billing-agent`
    /// or `metering-agent`.
    pub duty: String,
    /// The key of the organisation in whose name it acts; that of the caller if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
}

/// An application with its secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedApplication {
    /// The application.
    #[serde(flatten)]
    pub application: Application,
    /// Its secret: the `client_secret` of the token endpoint. It is kept as a hash alone.
    pub secret: String,
}

/// Which application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApplicationPath {
    /// Its id.
    pub application_id: String,
}

operation!(
    /// Lists applications.
    ListApplications, "applications.list", Get, "/api/v1/applications",
    "Lists the applications of the caller's organisation; all of them for an operator.",
    query: PageQuery, answer: Page<Application>
);
operation!(
    /// Makes an application.
    CreateApplication, "applications.create", Post, "/api/v1/applications",
    "Makes an application with a secret, which is shown this once.",
    body: NewApplication, answer: CreatedApplication, status: 201
);
operation!(
    /// Takes an application away.
    DeleteApplication, "applications.delete", Delete, "/api/v1/applications/{application_id}",
    "Takes an application away; its tokens are refused within seconds.",
    path: ApplicationPath, answer: Application
);
