"""One commit to the Hub for a whole folder, with retries, or a message that says what to do. Imports the manifest.

The commit names the revision that it replaces (its parent): if the answer is lost on the way, trying again cannot
commit twice, and if somebody else pushed meanwhile, nothing of theirs is overwritten.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import httpx

from mise_hf.hub.manifest import FILE, NOT_OURS, files_of, read_manifest

RepoKind = Literal["model", "dataset", "space"]
TRIES = 5
LONGEST_WAIT_SECONDS = 30.0
PASSING = (408, 429, 500, 502, 503, 504)

T = TypeVar("T")


class PublishError(RuntimeError):
    """Nothing was published; the message says why and what to do."""


def publish(
    folder: Path,
    repo: str,
    *,
    kind: RepoKind = "model",
    private: bool = False,
    revision: str = "main",
    message: str | None = None,
    wait_seconds: float = 1.0,
) -> str:
    """Publish a staged folder as one commit; returns its address.

    After the commit the revision holds exactly the folder's files: those of an earlier revision that are not in it go.

    Args:
        folder: from `mise_hf.hub.staging`, with its manifest.
        repo: "owner/name".
        kind: of the repository.
        private: whether a repository made now is private; an existing one keeps what it is.
        revision: branch, made where it is missing.
        message: of the commit.
        wait_seconds: before the second try; doubled each time.

    Raises:
        PublishError: where the Hub refuses, or stays out of reach; the previous revision is then whole.
        ValueError: for a name that is taken by something else, or a folder without manifest.
    """
    manifest = read_manifest(folder)
    api = HfApi(library_name="mise_hf")
    tried = _Tries(repo, wait_seconds)
    tried.run(
        "create",
        lambda: api.create_repo(
            repo, repo_type=kind, private=private, exist_ok=True, space_sdk="gradio" if kind == "space" else None
        ),
    )
    if private:
        _require_private(repo, tried.run("look at", lambda: api.repo_info(repo, repo_type=kind)))
    head = tried.run("look at", lambda: _head(api, repo, kind, revision))
    if head is None:
        tried.run("branch", lambda: api.create_branch(repo, branch=revision, repo_type=kind, exist_ok=True))
        head = tried.run("look at", lambda: _head(api, repo, kind, revision))
    if head is None:
        raise PublishError(f"the branch {revision!r} of {repo} was made and is not there; try again in a minute")
    _refuse_taken(api, repo, kind, head, manifest, tried)
    names = [*files_of(folder), FILE]
    stale = sorted({entry.rfilename for entry in head.siblings or []} - set(names) - set(NOT_OURS))

    def commit() -> str:
        # Made anew for each try: the client marks operations as sent.
        deletions = [CommitOperationDelete(name) for name in stale]
        additions = [CommitOperationAdd(name, folder / name) for name in names]
        made = api.create_commit(
            repo,
            [*additions, *deletions],
            commit_message=message or f"Publish {manifest.get('kind', 'files')} with mise_hf",
            repo_type=kind,
            revision=revision,
            parent_commit=head.sha,
        )
        return str(made.commit_url)

    def landed() -> str | None:
        now = _head(api, repo, kind, revision)
        ours = hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
        if now is None or now.sha == head.sha or _remote_sha256(api, repo, kind, now.sha, FILE) != ours:
            return None
        return f"{api.endpoint}/{'' if kind == 'model' else kind + 's/'}{repo}/commit/{now.sha}"

    return tried.run("commit to", commit, landed)


class _Tries:
    """Runs calls to the Hub again where trying again may help, and says what to do where it does not."""

    def __init__(self, repo: str, wait_seconds: float) -> None:
        self.repo = repo
        self.wait_seconds = wait_seconds

    def run(self, what: str, call: Callable[[], T], landed: Callable[[], T | None] | None = None) -> T:
        """The value of `call`, or of `landed` where a call whose answer was lost had done its work.

        Raises:
            PublishError: when the tries are used up, or the fault is one that no try mends.
        """
        for attempt in range(TRIES):
            try:
                return call()
            except (HfHubHTTPError, httpx.TransportError, RuntimeError) as error:
                fault = _http_fault(error)
                if fault is None:
                    raise
                # The answer to an earlier try, or to this one, may be all that was lost.
                if landed is not None and (_status(fault) is None or (attempt and _status(fault) == 412)):
                    done = _quietly(landed)
                    if done is not None:
                        return done
                if attempt == TRIES - 1 or _status(fault) not in (None, *PASSING):
                    # Without the original text: it may quote headers, and its stack the request.
                    raise PublishError(self._explain(what, fault)) from None
                time.sleep(min(self._pause(fault, attempt), LONGEST_WAIT_SECONDS))
        raise PublishError(f"could not {what} {self.repo}")

    def _pause(self, fault: Exception, attempt: int) -> float:
        response = getattr(fault, "response", None)
        told = "" if response is None else response.headers.get("Retry-After", "")
        return float(told) if told.isdecimal() else self.wait_seconds * 2**attempt

    def _explain(self, what: str, fault: Exception) -> str:
        kept = "nothing was published, and what was there before is whole"
        status = _status(fault)
        if status == 401:
            return f"the Hub knows no such token (401) to {what} {self.repo}; {kept}. Log in again with `hf auth login`"
        if status == 403:
            return (
                f"the token may not {what} {self.repo} (403); {kept}. Use a token with write access to "
                f"{self.repo.partition('/')[0]!r}, or another --repo name if that one belongs to somebody else"
            )
        if status == 404:
            return f"the Hub has no {self.repo} that this token may see (404); {kept}. Check the name and the token"
        if status == 409:
            return f"the name {self.repo} is taken (409); {kept}. Choose another --repo name"
        if status == 412:
            return f"somebody pushed to {self.repo} meanwhile (412); {kept} on our side. Run the same command again"
        if status in PASSING:
            return (
                f"the Hub answered {status} to {TRIES} tries to {what} {self.repo}; {kept}. Try again in some minutes"
            )
        if status is None:
            return (
                f"the connection broke {TRIES} times on the way to {what} {self.repo} ({type(fault).__name__}); {kept}"
                ". Check the network and run the same command again"
            )
        return f"the Hub answered {status} when asked to {what} {self.repo}; {kept}"


def _http_fault(error: BaseException) -> Exception | None:
    """The fault of HTTP inside `error`: the client wraps those of uploads in RuntimeError."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HfHubHTTPError | httpx.TransportError):
            return cause
        cause = cause.__cause__
    return None


def _status(fault: Exception) -> int | None:
    response = getattr(fault, "response", None)
    return None if response is None else int(response.status_code)


def _quietly(landed: Callable[[], T | None]) -> T | None:
    """`landed()`, or None while the Hub cannot be asked."""
    try:
        return landed()
    except (HfHubHTTPError, httpx.TransportError):
        return None


def _head(api: HfApi, repo: str, kind: RepoKind, revision: str) -> Any:
    try:
        return api.repo_info(repo, repo_type=kind, revision=revision, files_metadata=False)
    except RevisionNotFoundError:
        return None


def _remote_sha256(api: HfApi, repo: str, kind: RepoKind, sha: str, name: str) -> str | None:
    content = _remote(api, repo, kind, sha, name)
    return None if content is None else hashlib.sha256(content).hexdigest()


def _remote(api: HfApi, repo: str, kind: RepoKind, sha: str, name: str) -> bytes | None:
    """A small file of a revision; None where it is not there."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            return Path(api.hf_hub_download(repo, name, repo_type=kind, revision=sha, cache_dir=scratch)).read_bytes()
    except (EntryNotFoundError, RepositoryNotFoundError):
        return None


def _require_private(repo: str, info: Any) -> None:
    if not info.private:
        raise ValueError(
            f"{repo} exists and is public; wanted a private repository: make it private in its settings on the Hub, or "
            "choose another --repo name"
        )


def _refuse_taken(api: HfApi, repo: str, kind: RepoKind, head: Any, manifest: dict[str, Any], tried: _Tries) -> None:
    """Raise ValueError where the repository holds something that publishing would destroy."""
    names = {entry.rfilename for entry in head.siblings or []}
    if names <= {*NOT_OURS, "README.md"}:
        return
    ours = manifest.get("kind")
    theirs = None
    for name in (FILE, "config.json"):
        if name in names:
            content = tried.run("look at", lambda name=name: _remote(api, repo, kind, head.sha, name))  # type: ignore[misc]
            theirs = _kind_in(content)
            break
    if theirs != ours:
        raise ValueError(
            f"the name {repo} is taken: it holds {theirs or 'files that mise_hf did not publish'}, and this is {ours}; "
            "choose another --repo name"
        )


def _kind_in(content: bytes | None) -> str | None:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    return found.get("kind") or str(found.get("model_type", "")).removeprefix("mise_") or None
