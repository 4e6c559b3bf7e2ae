"""The paper's claims, judged by the rules of `conf/claims.yaml`: a module for each claim."""
