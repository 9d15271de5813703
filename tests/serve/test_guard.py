"""Who is let in, what may be asked, and what a browser may do with the answer."""

from __future__ import annotations

import re

import pytest
from pages import TOKEN, client


def test_without_the_token_nothing_is_told(folder):
    stranger = client([folder], cookie="")
    for address in ("/", "/view?t=ring.h5", "/state.json?t=ring.h5", "/static/page.js", "/no-such-page"):
        answer = stranger(address)
        assert answer.status_code == 403
        assert "no token: open the address that simkit serve printed" in answer.text
        assert "ring" not in answer.text
    assert client([folder], cookie="another")("/").status_code == 403
    assert stranger("/?token=another").status_code == 403


def test_the_token_becomes_a_cookie_that_no_other_site_can_send(folder):
    answer = client([folder], cookie="")(f"/view?t=ring.h5&token={TOKEN}&z=rate")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/view?t=ring.h5&z=rate"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"simkit-8800={TOKEN};")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_the_redirect_never_leads_to_another_host(folder):
    answer = client([folder], cookie="")(f"http://127.0.0.1:8800//evil.example/?token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/evil.example")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.7:8800", "localhost:80:80", ""]
)
def test_another_host_name_is_refused(folder, host):
    answer = client([folder])("/", Host=host)
    assert answer.status_code == 403
    assert "this server is not called that" in answer.text


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8800", "LOCALHOST"])
def test_this_machine_by_any_port_is_let_in(folder, host):
    assert client([folder])("/", Host=host).status_code == 200  # a tunnel has a port of its own


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_page_only_reads(folder, method):
    answer = client([folder])("/view?t=ring.h5", method)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert "this page only reads" in answer.text


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(folder):
    visit = client([folder])
    for address in ("/", "/view?t=ring.h5", "/static/page.js", "/no-such-page", "/view?t=no.h5"):
        headers = visit(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe-eval" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_only_scripts_and_styles_are_kept_by_the_browser_under_an_address_of_their_version(folder):
    visit = client([folder])
    page = visit("/view?t=ring.h5")
    assert page.headers["cache-control"] == "no-store"
    kept = re.findall(r'(?:src|href)="(/static/[^"]*)"', page.text)
    assert [address.partition("?v=")[0] for address in kept] == [
        "/static/page.css",
        "/static/page.js",
        "/static/bokeh/bokeh.min.js",
    ]
    for address in kept:
        answer = visit(address)
        assert (answer.status_code, len(address.partition("?v=")[2])) == (200, 12)
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert kept[-1] in visit("/").text  # the list has it fetched
    plain = visit(kept[-1], **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert (answer.headers["content-encoding"], answer.content) == ("gzip", plain.content)
    assert visit("/static/nothing.js").headers["cache-control"] == "no-store"
    assert client([folder], cookie="")(kept[0]).headers["cache-control"] == "no-store"
