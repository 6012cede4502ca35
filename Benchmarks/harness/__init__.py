"""Load runs of Sextant beside other proxies: what is started, how it is loaded, what is measured and reported."""
