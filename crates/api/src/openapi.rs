//! The OpenAPI document, from the operations' types.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use wire::{Body, CODES, Method, Problem, ProblemCode};

use crate::routes::Described;

/// The document (OpenAPI 3.1) of some routes.
pub fn document(routes: &[Described]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in routes {
        let operation = operation(route, &mut generator, &problem);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.name().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Skyhandel",
            "version": "1",
            "description": "A cloud solution provider programme: usage, prices, invoices at every tier.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "application": [] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "application": {
                    "type": "oauth2",
                    "flows": { "clientCredentials": { "tokenUrl": "/oauth2/token", "scopes": {} } },
                },
            },
        },
    })
}

fn operation(route: &Described, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let [path, query, body, answer] = (route.schemas)(generator);
    let mut parameters = parameters(&path, "path", generator);
    parameters.extend(self::parameters(&query, "query", generator));
    let mut responses = Map::new();
    responses.insert(
        route.status.to_string(),
        json!({ "description": "Done.", "content": { "application/json": { "schema": answer } } }),
    );
    for (code, status, title, _) in CODES.iter().filter(|row| may_answer(route, row.0)) {
        responses.insert(
            status.to_string(),
            json!({
                "description": format!("{title} ({}).", name(*code)),
                "content": { "application/problem+json": { "schema": problem } },
            }),
        );
    }
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "description": format!(
            "Needs a duty that may {} {}s.", route.action, route.resource
        ),
        "parameters": parameters,
        "responses": responses,
    });
    let content: Map<String, Value> = match route.body {
        Body::None => return operation,
        Body::Json => {
            [("application/json".to_owned(), json!({ "schema": body }))].into_iter().collect()
        }
        Body::Raw(types) => {
            types.iter().map(|of| ((*of).to_owned(), json!({ "schema": body }))).collect()
        }
    };
    operation["requestBody"] = json!({ "required": true, "content": content });
    operation
}

/// Whether a route can answer with a problem at all.
fn may_answer(route: &Described, code: ProblemCode) -> bool {
    let has_body = route.body != Body::None;
    match code {
        ProblemCode::TooLarge | ProblemCode::UnsupportedMediaType | ProblemCode::Timeout => {
            has_body
        }
        ProblemCode::Refused => has_body && route.method == Method::Post,
        ProblemCode::MethodNotAllowed => false,
        _ => true,
    }
}

fn name(code: ProblemCode) -> String {
    serde_json::to_value(code)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The members of a schema as parameters.
fn parameters(schema: &Schema, place: &str, generator: &SchemaGenerator) -> Vec<Value> {
    let schema = schema.as_value();
    let referred = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    let definition = referred.and_then(|name| generator.definitions().get(name));
    let schema = definition.unwrap_or(schema);
    let required = |name: &String| {
        let required = schema["required"].as_array();
        required.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let members = schema["properties"].as_object().cloned().unwrap_or_default();
    members
        .into_iter()
        .map(|(name, mut schema)| {
            let description =
                schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({
                "name": name,
                "in": place,
                "required": place == "path" || required(&name),
                "description": description.unwrap_or_default(),
                "schema": schema,
            })
        })
        .collect()
}
