"""Compiles clients that generators make from openapi.yaml, and runs them against the service. Each creates an API client, gets
a token with it, and prints the reply to a request that is refused. `run.py generated sqlite -- pytest tests/interop/generators`
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CONTRACT = ROOT / "openapi.yaml"
NODE_MODULES = ROOT / "tests/interop/node_modules"
BIN = Path(sys.executable).parent
WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())
# The libraries from Debian that the generated Java needs; the generator's archive has the rest (Jackson).
JAVA_LIBRARIES = [Path("/usr/share/java") / f"{name}.jar" for name in ["httpclient", "httpcore", "httpmime", "geronimo-annotation-1.3-spec"]]


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command. If it fails, the test fails and shows the output."""
    environment = {
        **os.environ, "MINTMARK_URL": WORLD["issuer"], "MINTMARK_CLIENT_ID": WORLD["client_id"],
        "MINTMARK_CLIENT_SECRET": WORLD["client_secret"], "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOPROXY": "off",
    }
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def openapi_generator(language: str, folder: Path, *options: str) -> Path:
    """Runs openapi-generator, which must not print errors, and returns the folder with its output."""
    made = folder / "made"
    said = run(BIN / "openapi-generator-cli", "generate", "-g", language, "-i", CONTRACT, "-o", made, *options, cwd=folder)
    complaints = [line for line in said.splitlines() if " ERROR " in line or "Exception" in line and " INFO " not in line]
    assert complaints == [], "\n".join(complaints)
    return made


def check(printed: str) -> None:
    """Checks what a program printed: the id of its client, the lifetime and the token; then the refusal of an empty label."""
    token, refusal = printed.strip().splitlines()
    client_id, expires_in, token = token.split()
    assert expires_in == "900"
    keys = jwt.PyJWKClient(WORLD["issuer"] + "/.well-known/jwks.json")
    claims = jwt.decode(token, keys.get_signing_key_from_jwt(token), audience=WORLD["audience"], issuer=WORLD["issuer"])
    assert (claims["client_id"], claims["workspace_id"], claims["products"]) == (client_id, "acme-in", ["gst"])
    status, problem = refusal.split(maxsplit=1)
    assert status == "422"
    assert [error["pointer"] for error in json.loads(problem)["errors"]] == ["/label"]


def test_the_java_client_of_openapi_generator_works(tmp_path):
    made = openapi_generator("java", tmp_path, "--library", "native", "--additional-properties", "openApiNullable=false")
    (generator,) = BIN.parent.glob("lib/python*/site-packages/openapi_generator_cli/*.jar")
    classpath = ":".join(map(str, [tmp_path / "classes", generator, *JAVA_LIBRARIES]))
    sources = [*made.glob("src/main/java/**/*.java"), HERE / "Client.java"]
    run("javac", "-nowarn", "-cp", classpath, "-d", tmp_path / "classes", *sources, cwd=tmp_path)
    check(run("java", "-XX:TieredStopAtLevel=1", "-cp", classpath, "Client", cwd=tmp_path))


def test_the_go_client_of_openapi_generator_works(tmp_path):
    made = openapi_generator("go", tmp_path, "--additional-properties", "packageName=mintmark")
    shutil.rmtree(made / "test", ignore_errors=True)
    (made / "go.mod").write_text("module mintmark.example/client\n\ngo 1.19\n")
    (made / "program").mkdir()
    shutil.copy(HERE / "main.go", made / "program")
    check(run("go", "run", "./program", cwd=made))


def test_the_python_client_of_openapi_generator_works(tmp_path):
    made = openapi_generator("python", tmp_path)
    shutil.copy(HERE / "pydantic_client.py", made)
    check(run(sys.executable, "pydantic_client.py", cwd=made))


def test_the_typescript_client_of_openapi_generator_works(tmp_path):
    made = openapi_generator("typescript-fetch", tmp_path, "--additional-properties", "importFileExtension=.js")
    project = typescript(tmp_path, "fetch.ts")
    made.rename(project / "client")
    check(compiled_and_run(project, "fetch"))


def test_a_csharp_client_is_generated_without_errors(tmp_path):
    """Does not compile it, so that the tests need no C# compiler."""
    made = openapi_generator("csharp", tmp_path)
    assert list(made.glob("src/**/ApiClientCreate.cs"))


def test_the_client_of_openapi_python_client_works(tmp_path):
    (tmp_path / "config.yml").write_text("package_name_override: mintmark_client\nproject_name_override: mintmark-client\n")
    said = run(
        BIN / "openapi-python-client", "generate", "--path", CONTRACT, "--meta", "none", "--config", "config.yml",
        "--output-path", "mintmark_client", cwd=tmp_path,
    )
    # The generator cannot parse replies in YAML and status lists, and leaves them out. Nothing else may be missing.
    left_out = re.findall(r"^WARNING parsing (\S+ \S+) within", said, re.MULTILINE)
    assert left_out == ["GET /oauth2/status-lists/{list}", "GET /openapi.yaml"], said
    assert "Unable" not in said, said
    shutil.copy(HERE / "attrs_client.py", tmp_path)
    check(run(sys.executable, "attrs_client.py", cwd=tmp_path))


def test_the_types_of_openapi_typescript_work(tmp_path):
    project = typescript(tmp_path, "paths.ts")
    run(NODE_MODULES / ".bin/openapi-typescript", CONTRACT, "-o", project / "mintmark.d.ts", cwd=project)
    check(compiled_and_run(project, "paths"))


def typescript(folder: Path, program: str) -> Path:
    """Creates a project with this program, in which the compiler is strict, and returns its folder."""
    project = folder / "project"
    project.mkdir()
    shutil.copy(HERE / program, project)
    (project / "package.json").write_text('{"type": "module"}')
    (project / "node_modules").symlink_to(NODE_MODULES)
    options = {"strict": True, "target": "es2022", "module": "nodenext", "skipLibCheck": True, "types": ["node"], "outDir": "out"}
    (project / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": [program]}))
    return project


def compiled_and_run(project: Path, program: str) -> str:
    run(NODE_MODULES / ".bin/tsc", "-p", project, cwd=project)
    return run("node", f"out/{program}.js", cwd=project)


def test_requests_that_postman_imports_from_openapi_yaml_work(tmp_path):
    check(run("node", HERE / "postman.mjs", CONTRACT, cwd=tmp_path))


def test_the_checks_of_the_postman_collection_pass(tmp_path):
    """Runs the collection in examples/postman."""
    collection = ROOT / "examples/postman/mintmark.postman_collection.json"
    variables = {"base_url": WORLD["issuer"], "admin_client_id": WORLD["client_id"], "admin_client_secret": WORLD["client_secret"]}
    given = [argument for name, value in variables.items() for argument in ("--env-var", f"{name}={value}")]
    said = run(NODE_MODULES / ".bin/newman", "run", collection, "--reporters", "json,cli", "--reporter-json-export", "report.json", *given, cwd=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())["run"]
    requests = sum(1 for _ in leaves(json.loads(collection.read_text())["item"]))
    assert report["stats"]["requests"]["total"] == requests and report["stats"]["assertions"]["total"] >= requests, said
    assert report["failures"] == [], said


def leaves(items: list) -> list:
    return [leaf for item in items for leaf in (leaves(item["item"]) if "item" in item else [item])]
