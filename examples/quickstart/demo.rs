//! Directs the program and a fake Dropbox Sign whose tokens live for seconds.

use std::{error::Error, path::Path, time::Duration};

use dropbox_sign_oauth::{
    AccountId, AuthorizationResponse, Freshness, TokenManager,
    testing::{FakeDropboxSign, Fault},
};
use futures_util::future::try_join_all;
use reqwest::{
    Response,
    multipart::{Form, Part},
};
use tokio::time::sleep;

use crate::{counts::Counts, program::Program, timeline::Timeline};

const LIFETIME: Duration = Duration::from_secs(4);
/// `RefreshPolicy::min_refresh_interval`, for which a newly granted token is
/// not replaced.
const COOLDOWN: Duration = Duration::from_millis(1_050);
const AT_ONCE: usize = 200;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The fake service, and the timeline of the program.
struct Demo {
    fake: FakeDropboxSign,
    timeline: Timeline,
}

pub(crate) async fn run() -> Result<bool> {
    let fake = FakeDropboxSign::builder().lifetime(LIFETIME).start().await;
    let demo = Demo {
        timeline: Timeline::new(),
        fake,
    };
    println!(
        "A fake Dropbox Sign at {}; its tokens live for {LIFETIME:?}.",
        demo.fake.url()
    );
    println!("Lines with > are events of the middleware.");

    let directory = tempfile::tempdir()?;
    let tokens = directory.path().join("tokens.json");
    let program = demo.start_program(&tokens)?;
    demo.sign_in(&program).await?;
    demo.first_use(&program).await?;
    demo.background_refresh(&program).await?;
    demo.expiry(&program).await?;
    demo.outage(&program).await?;
    demo.revoked_token(&program).await?;
    demo.upload(&program).await?;
    program.manager.shutdown().await?;
    drop(program);
    demo.restart(&tokens).await?;
    demo.totals();
    Ok(demo.timeline.is_right())
}

impl Demo {
    fn start_program(&self, tokens: &Path) -> Result<Program> {
        let timeline = self.timeline.clone();
        Program::new(self.fake.api(), &self.fake.url(), tokens, move |event| {
            timeline.event(event)
        })
    }

    async fn sign_in(&self, program: &Program) -> Result<()> {
        self.timeline
            .scene("Sign-in: the callback's code becomes tokens");
        let state = self.fake.api().authorization_request()?.state().clone();
        let code = self.fake.authorization_code();
        let callback = format!(
            "/callback?code={}&state={}",
            code.expose_secret(),
            state.expose_secret()
        );
        let response = AuthorizationResponse::parse(&callback, &state)?;
        let account = program.manager.account(AccountId::default());
        account.sign_in(response).await?;
        self.timeline.line("installed and saved");
        Ok(())
    }

    async fn first_use(&self, program: &Program) -> Result<()> {
        self.timeline.scene("First use: the token is fresh");
        let before = self.counts();
        self.get(program).await?;
        self.check(before, Counts::ONE_REQUEST);
        Ok(())
    }

    async fn background_refresh(&self, program: &Program) -> Result<()> {
        self.wait_until(Freshness::Stale, &program.manager).await;
        self.timeline.scene(
            "Half of the lifetime is over: sent at once, refreshed in the \
             background",
        );
        let before = self.counts();
        self.get(program).await?;
        self.timeline.refreshes(1).await;
        self.check(
            before,
            Counts {
                refreshes: 1,
                ..Counts::ONE_REQUEST
            },
        );
        Ok(())
    }

    async fn expiry(&self, program: &Program) -> Result<()> {
        self.wait_until(Freshness::Expired, &program.manager).await;
        self.timeline
            .scene("Expired: 200 requests at once wait for one refresh");
        let before = self.counts();
        try_join_all((0..AT_ONCE).map(|_| self.send(program))).await?;
        self.timeline.line(format_args!("{AT_ONCE} responses"));
        self.timeline.refreshes(2).await;
        self.check(
            before,
            Counts {
                ok: AT_ONCE,
                refreshes: 1,
                ..Counts::ONE_REQUEST
            },
        );
        Ok(())
    }

    async fn outage(&self, program: &Program) -> Result<()> {
        self.timeline.scene(
            "The API responds with 503 once: reqwest-retry sends the request \
             again",
        );
        self.fake.next_api_request(Fault::status(503));
        let before = self.counts();
        self.get(program).await?;
        self.check(
            before,
            Counts {
                unavailable: 1,
                ..Counts::ONE_REQUEST
            },
        );
        Ok(())
    }

    async fn revoked_token(&self, program: &Program) -> Result<()> {
        sleep(COOLDOWN).await;
        self.timeline
            .scene("The access token is rejected before its expiry: a 401, a refresh, a replay");
        self.fake.revoke_access_tokens();
        let before = self.counts();
        self.get(program).await?;
        self.timeline.refreshes(3).await;
        self.check(
            before,
            Counts {
                rejected: 1,
                refreshes: 1,
                ..Counts::ONE_REQUEST
            },
        );
        Ok(())
    }

    async fn upload(&self, program: &Program) -> Result<()> {
        sleep(COOLDOWN).await;
        self.timeline
            .scene("The same with a multipart upload of 100 kB");
        self.fake.revoke_access_tokens();
        let before = self.counts();
        let file = Part::bytes(vec![b'%'; 100_000]).file_name("contract.pdf");
        let url = format!("{}/v3/signature_request/send", self.fake.url());
        let form = Form::new().text("title", "Contract").part("files[0]", file);
        let response = program.uploads.post(url).multipart(form).send().await?;
        self.timeline
            .line(format_args!("POST: {}", response.status()));
        self.timeline.refreshes(4).await;
        self.check(
            before,
            Counts {
                rejected: 1,
                refreshes: 1,
                ..Counts::ONE_REQUEST
            },
        );
        let requests = self.fake.recorded_api_requests();
        let bodies: Vec<_> = requests
            .iter()
            .rev()
            .take(2)
            .map(|request| &request.body)
            .collect();
        self.timeline.check(
            "both bodies are the same",
            bodies[0] == bodies[1],
            true,
        );
        Ok(())
    }

    async fn restart(&self, tokens: &Path) -> Result<()> {
        self.timeline
            .scene("The program starts again, and uses the saved token");
        let program = self.start_program(tokens)?;
        let before = self.counts();
        self.get(&program).await?;
        self.check(before, Counts::ONE_REQUEST);
        program.manager.shutdown().await?;
        Ok(())
    }

    fn totals(&self) {
        println!("\nTotals");
        let total = self.counts();
        let timeline = &self.timeline;
        timeline.check("responses with 200", total.ok, AT_ONCE + 6);
        timeline.check("responses with 401, then replays", total.rejected, 2);
        timeline.check(
            "responses with 503, then retries",
            total.unavailable,
            1,
        );
        timeline.check(
            "token requests: 1 sign-in, 4 refreshes",
            self.fake.token_requests(),
            5,
        );
        let uses = self.fake.max_uses_of_one_refresh_token();
        timeline.check("most uses of one refresh token", uses, 1);
    }

    async fn wait_until(&self, freshness: Freshness, manager: &TokenManager) {
        let account = manager.account(AccountId::default());
        self.timeline.line("(time passes)");
        while account.current().is_none_or(|(_, now)| now < freshness) {
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn get(&self, program: &Program) -> Result<()> {
        let response = self.send(program).await?;
        self.timeline
            .line(format_args!("GET: {}", response.status()));
        Ok(())
    }

    async fn send(
        &self,
        program: &Program,
    ) -> reqwest_middleware::Result<Response> {
        program
            .client
            .get(format!("{}/v3/account", self.fake.url()))
            .send()
            .await
    }

    fn counts(&self) -> Counts {
        Counts::so_far(&self.fake)
    }

    fn check(&self, before: Counts, expected: Counts) {
        (self.counts() - before).check(expected, &self.timeline);
    }
}
