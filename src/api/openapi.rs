//! The OpenAPI 3.1 document: written from the table that the router is made from.

use std::sync::LazyLock;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::refusal::json_response;
use super::table::{Field, Gives, Needs, On, Route, table};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /api/v1/openapi.json`
pub(super) async fn serve() -> Response<Body> {
    json_response(StatusCode::OK, DOCUMENT.clone())
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in table().iter().filter(|route| route.on != On::Socket) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "kandian",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "看店云存储. What is here stays as it is; fields and routes are added. Sizes are bytes, times \
                            milliseconds since 1970 (UTC), unless their names say otherwise.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "kandian",
                    "description": "__Host-kandian where the portal speaks TLS",
                },
            },
            "schemas": {"No": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                }},
            }},
        },
    })
}

fn operation(route: &Route) -> Value {
    let json = |schema: Value| json!({"application/json": {"schema": schema}});
    let content = match route.gives {
        Gives::One(fields) => json(object(fields)),
        Gives::Many(fields) => json(json!({"type": "array", "items": object(fields)})),
        Gives::Bytes(kind) => json!({kind: {"schema": {"type": "string", "format": "binary"}}}),
    };
    let no = |text: &str| json!({"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/No"}}}});
    let mut out = json!({
        "operationId": name(route),
        "summary": route.summary,
        "responses": {
            "2XX": {"description": "done", "content": content},
            "default": no("not done; the code is for programs, the message for people"),
        },
    });
    if route.needs != Needs::Nothing {
        out["security"] = json!([{"bearer": []}, {"cookie": []}]);
        out["responses"]["401"] = no("nobody is signed in");
    }
    if matches!(route.needs, Needs::Role(_) | Needs::Everywhere(_)) {
        let roles = route.needs.roles();
        out["description"] = json!(format!("For the roles: {}.", roles.join(", ")));
        out["x-roles"] = json!(roles);
        out["responses"]["403"] = no("the role may not");
    }
    let mut parameters: Vec<Value> = in_path(route.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if route.method == http::Method::GET {
        parameters.extend(route.takes.iter().map(|(name, kind, what)| {
            let (kind, left_out) = kind_of(kind);
            json!({"name": name, "in": "query", "required": !left_out, "description": what, "schema": {"type": kind}})
        }));
    } else if !route.takes.is_empty() {
        let content = json!({"application/json": {"schema": object(route.takes)}});
        out["requestBody"] = json!({"required": true, "content": content});
    }
    if !parameters.is_empty() {
        out["parameters"] = json!(parameters);
    }
    out
}

/// `get_accounts_name`: unique, as method and path are together.
fn name(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1/").replace(['{', '}'], "").replace(['/', '-', '.'], "_");
    format!("{}_{path}", route.method.as_str().to_ascii_lowercase())
}

fn in_path(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// A field's JSON type, and whether it may be left out.
pub(super) fn kind_of(kind: &'static str) -> (&'static str, bool) {
    kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true))
}

fn object(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, kind, what) in fields {
        let (kind, left_out) = kind_of(kind);
        let schema = if left_out { json!([kind, "null"]) } else { json!(kind) };
        properties.insert((*name).to_owned(), json!({"type": schema, "description": what}));
        if !left_out {
            required.push(*name);
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_route_of_the_listener_once_and_names_none_twice() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        let operations: Vec<&Value> =
            paths.values().flat_map(|path| path.as_object().expect("methods").values()).collect();
        assert_eq!(operations.len(), table().iter().filter(|route| route.on != On::Socket).count());
        let mut names: Vec<&str> = operations.iter().filter_map(|one| one["operationId"].as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), operations.len());
        let open = &paths["/api/v1/accounts"]["post"];
        assert_eq!(open["description"], "For the roles: operations.");
        assert_eq!(
            open["requestBody"]["content"]["application/json"]["schema"]["required"],
            json!(["account", "space_gb"])
        );
        assert!(paths["/api/v1/session"]["post"]["security"].is_null());
    }
}
