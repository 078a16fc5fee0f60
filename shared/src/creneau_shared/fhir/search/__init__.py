"""FHIR R4 search, from a query's pairs to a Bundle's bytes, without HTTP and without parsing a stored resource.

registry     which parameters each type has          paths, index   what of a resource is found by them
parse        pairs → SearchRequest (request)          values, dates, text, terms   how values are read
sql          SearchRequest → SQL, any SearchTable     generic        the SearchTable of storage.tables
execute      page, includes, total, cursors           bundle         rows → Bundle
"""
