//! What the hub is told before the traffic begins: models, their versions, and endpoints whose
//! routes serve; each by the command that a person would use.

use std::path::Path;

use tokio::task::JoinSet;

use crate::DemoError;
use crate::hub::Hub;
use crate::models::{self, BUILT_IN, BuiltIn};

/// The environment of the demo's hosts.
pub(crate) const ENVIRONMENT: &str = "prod";
/// What every endpoint has to keep to. Far from what a sound version does here, even on a machine
/// that is busy, and well within what a faulty one does.
const OBJECTIVES: [&str; 2] = ["errors<=1%", "p99<=100ms"];
/// Requests that a verdict needs: some seconds of the demo's traffic.
const MIN_REQUESTS: &str = "60";
/// What is said of the rows of a model.
const ROWS: &str = "the rows that the demo sends";
/// Why everything of it is done, in the journal.
const WHY: &str = "the demo's beginnings";

/// The endpoint of a model.
pub(crate) fn endpoint(model: &str) -> String {
    format!("{ENVIRONMENT}/{model}")
}

/// Registers everything, and waits until every endpoint serves its last route. `folder` is where
/// the versions' files were laid out.
pub(crate) async fn fill(hub: &Hub, folder: &Path) -> Result<(), DemoError> {
    let mut all = JoinSet::new();
    for model in &BUILT_IN {
        let (hub, folder) = (hub.clone(), folder.to_owned());
        all.spawn(async move {
            register(&hub, model, &folder).await?;
            serve(&hub, model).await
        });
    }
    for one in all.join_all().await {
        one?;
    }
    let rules = ["environment", "set", ENVIRONMENT, "--protected", "true"];
    hub.does("to protect its environment", &rules).await
}

async fn register(hub: &Hub, model: &BuiltIn, folder: &Path) -> Result<(), DemoError> {
    let create = [
        "model",
        "create",
        model.name,
        "--description",
        model.description,
        "--team",
        model.team,
        "--reason",
        WHY,
    ];
    hub.does("to register a model", &create).await?;
    let table = models::table(folder, model.name).display().to_string();
    let (data_set, features) = (
        format!("{}-rows", model.name),
        format!("{}-features", model.name),
    );
    let mut rows = vec!["dataset", "register", &data_set, "--file", &table];
    rows.extend(["--notes", ROWS, "--reason", WHY]);
    hub.does("to register a data set", &rows).await?;
    let first = format!("{data_set}@1");
    let vector = [
        "featureset",
        "register",
        &features,
        "--from",
        &first,
        "--reason",
        WHY,
    ];
    hub.does("to register a feature set", &vector).await?;
    let (data_set, features) = (format!("{first}:train"), format!("{features}@1"));
    for (at, version) in model.versions.iter().enumerate() {
        let file = models::file(folder, model.name, at + 1);
        let file = file.display().to_string();
        let accuracy = format!("accuracy={}", version.accuracy);
        let mut register = vec!["version", "register", "--model", model.name];
        register.extend(["--file", &file, "--notes", version.notes, "--reason", WHY]);
        register.extend(["--dataset", &data_set, "--featureset", &features]);
        let golden = models::golden_file(folder, model.name)
            .display()
            .to_string();
        if model.golden.is_some() {
            register.extend(["--golden", &golden]);
        }
        if !version.accuracy.is_empty() {
            register.extend(["--metric", &accuracy]);
        }
        hub.does("to register a version", &register).await?;
    }
    Ok(())
}

async fn serve(hub: &Hub, model: &BuiltIn) -> Result<(), DemoError> {
    let endpoint = endpoint(model.name);
    let mut create = vec!["endpoint", "create", &endpoint];
    create.extend(["--description", model.description]);
    for objective in OBJECTIVES {
        create.extend(["--objective", objective]);
    }
    create.extend(["--min-requests", MIN_REQUESTS, "--reason", WHY]);
    hub.does("to name an endpoint", &create).await?;
    for route in model.routes {
        let mut deploy = vec!["deploy"];
        deploy.extend(route.iter());
        deploy.extend(["--to", &endpoint, "--strategy", "all-at-once"]);
        deploy.extend(["--confirm-within", "0s", "--reason", WHY, "--wait=2m"]);
        hub.does("to bring a version to its endpoint", &deploy)
            .await?;
    }
    Ok(())
}
