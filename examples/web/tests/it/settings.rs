//! Mistakes in the settings.

use std::fs;

use dropbox_sign_oauth_web::Settings;

use crate::{Result, running::World};

/// The error of the settings with this one changed.
fn error(world: &World, name: &str, value: &str) -> Option<String> {
    let settings = Settings::from(|asked| match asked == name {
        true => Some(value.to_owned()),
        false => world.variable(asked),
    });
    settings.err().map(|error| error.to_string())
}

#[tokio::test]
async fn an_error_names_the_setting_and_repeats_no_value() -> Result {
    let world = World::new().await?;
    for (name, value) in [
        ("DROPBOX_SIGN_ENCRYPTION_KEY", "canary"),
        ("WEB_SESSION_KEY", "canary"),
        ("WEB_TENANTS", "acme:canary"),
        ("WEB_TENANTS", "canary"),
        // A password with a space: the rest looks like an entry.
        ("WEB_TENANTS", "acme:correct-horse-and canary:staple"),
        (
            "WEB_TENANTS",
            "canary:0123456789abcdef canary:0123456789abcdef",
        ),
        ("WEB_LISTEN", "canary"),
        ("WEB_PUBLIC_URL", "http://canary.example"),
        ("WEB_PUBLIC_URL", "canary"),
        ("WEB_PUBLIC_URL", "https://app.example/canary"),
        ("WEB_PUBLIC_URL", "https://app.example?canary"),
        ("WEB_PUBLIC_URL", "https://canary@app.example"),
    ] {
        let error = error(&world, name, value).ok_or(name)?;
        assert!(!error.contains("canary"), "{error}");
        assert!(error.starts_with(name), "{error}");
    }
    for url in ["https://app.example", "http://localhost", "http://[::1]:80"] {
        assert_eq!(error(&world, "WEB_PUBLIC_URL", url), None);
    }
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_tenants_names_the_number_of_the_entry() -> Result {
    let world = World::new().await?;
    for (value, start) in [
        (
            "acme:0123456789abcdef globex",
            "entry 2: write NAME:PASSWORD",
        ),
        (
            "acme:0123456789abcdef globex:short",
            "entry 2: the password needs",
        ),
        (
            "acme:0123456789abcdef acme:0123456789abcdef",
            "entry 2: the name",
        ),
    ] {
        let error = error(&world, "WEB_TENANTS", value).ok_or(value)?;
        let start = format!("WEB_TENANTS: {start}");
        assert!(error.starts_with(&start), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_may_come_from_a_file() -> Result {
    let world = World::new().await?;
    let name = "WEB_SESSION_KEY";
    let path = world.folder.path().join("key");
    fs::write(&path, "k".repeat(64) + "\n")?;
    let path = path.to_string_lossy().into_owned();
    let settings = Settings::from(|asked| match asked {
        "WEB_SESSION_KEY" => None,
        "WEB_SESSION_KEY_FILE" => Some(path.clone()),
        _ => world.variable(asked),
    });
    settings?;
    // A file beside the variable: which of the two counts?
    let of_file = format!("{name}_FILE");
    let error = error(&world, &of_file, &path).ok_or("both were taken")?;
    assert!(error.contains("not both"), "{error}");
    Ok(())
}
